export interface Config {
  neuroscale?: {
    /**
     * Whether people may look around without an account.
     * @visibility frontend
     */
    guests?: boolean;
  };
}
