/** Which endpoint a Component is: its namespace and name. The portal's backend writes it. */
export const ANNOTATION_ENDPOINT = 'neuroscale.dev/endpoint';

/** Its folder in the tenant's repository. */
export const ANNOTATION_FOLDER = 'neuroscale.dev/folder';
