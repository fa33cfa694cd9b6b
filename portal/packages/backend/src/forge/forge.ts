/** Where people's repositories are. */
export type Site = {
  /** Which kind of forge it is. */
  provider: 'gitea' | 'github';
  /** Where people's browsers reach it. */
  publicUrl: string;
  /** Where the portal asks it. */
  url: string;
  organization: string;
};

/** The page of a repository, in a forge of either kind. */
export function pageOf(site: Site, repository: string): string {
  return `${site.publicUrl}/${site.organization}/${repository}`;
}

/** A forge that has people's repositories. */
export interface Forge {
  /** The page of a folder on the main branch of a repository. */
  folderPage(repository: string, folder: string): string;
  /** The forge as the person whose token it is. */
  as(token: string): Person;
}

/** What somebody may do in a forge. Every error is a sentence for that person. */
export interface Person {
  /** The main branch of a repository; what is read of it may be kept in an empty folder. */
  main(repository: string, dir: string): Promise<Main>;
  /** The last change of a path on the main branch; undefined if there was none. */
  lastChange(repository: string, path: string): Promise<LastChange | undefined>;
}

/**
 * The main branch of a repository as it was at one moment, as the person may read it. A
 * link in it leads nowhere.
 */
export interface Main {
  readonly repository: string;
  /** Paths of the files below a folder, sorted; none if it is not there. */
  paths(folder: string): Promise<string[]>;
  /** The text of a file; undefined if there is none, or a link or a repository. */
  text(path: string): Promise<string | undefined>;
  /**
   * Opens a pull request as the person, who need not be allowed to write. One of theirs
   * that is open already with the same files is the answer, so that this can be done
   * again; with other files it is an error.
   */
  propose(change: Change): Promise<Pull>;
}

/** What is proposed for the folder of an endpoint. */
export type Change = {
  /** Somebody has one pull request of each kind for an endpoint at a time. */
  kind: 'add' | 'change' | 'remove';
  name: string;
  title: string;
  text: string;
  /** The files by path, undefined for one that goes. */
  files: Map<string, string | undefined>;
};

export type Pull = { number: number; url: string };

/** What was changed last, by whom, and who merged it if that was somebody by a pull request. */
export type LastChange = {
  title: string;
  author: string;
  when: string;
  url: string;
  merged?: { by: string; number: number; url: string };
};

/** An error for somebody who has proposed another change under the same name. */
export function proposedOtherwise(change: Change, url: string): Error {
  return new Error(`You have proposed something else as ${change.title}: merge or close ${url}, and try again`);
}

/** Whether files are as a change makes them. */
export async function isMade(change: Change, textOf: (path: string) => Promise<string | undefined>): Promise<boolean> {
  for (const [path, text] of change.files) {
    if ((await textOf(path)) !== text) return false;
  }
  return true;
}
