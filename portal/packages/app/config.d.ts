export interface Config {
  neuroscale?: {
    /**
     * Whether people may look around without an account.
     * @visibility frontend
     */
    guests?: boolean;
    forge?: {
      /**
       * Which kind of forge people sign in with.
       * @visibility frontend
       */
      provider?: 'gitea' | 'github';
    };
  };
}
