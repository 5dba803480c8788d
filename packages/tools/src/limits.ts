/** Every bound of this package, by name. */
export const LIMITS = {
  /** A prefix of tool names: providers take names of up to 64 characters. */
  prefixChars: 32,

  /** A change that finds a workspace changed at the same moment is planned anew so many times. */
  workspaceTries: 16,

  /** Of a folder that becomes a workspace: files and links, their bytes, and patterns of what is left out. */
  treeEntries: 20_000,
  treeBytes: 2 * 1024 * 1024 * 1024,
  excludes: 1_000,
  /** Of one mount that a command sees, and paths that are told of what was not kept of it. */
  mountedBytes: 256 * 1024 * 1024,
  toldPaths: 20,

  /** A path as a model writes it. */
  pathChars: 4_096,
  /** Symbolic links followed on the way to one file; what the kernel allows, too. */
  links: 40,
  /** Where the kernel does not tell a descriptor's path: how often name and file are compared. */
  identityLooks: 8,
  /** Bytes of one file that are looked at; a larger one is refused. */
  fileBytes: 32 * 1024 * 1024,
  /** Read and decoded at a time; between two pieces an abort is seen and other work gets its turn. */
  chunkBytes: 64 * 1024,
  /** Entries read of one directory. */
  directoryEntries: 20_000,

  /** Lines of one `read_file` answer. */
  readLines: 2_000,
  /** UTF-16 units of text in one answer: below what the runtime shows a model of one result. */
  answerChars: 40_000,
  /** Entries in one `list_files` answer. */
  listedEntries: 1_000,
  /** Paths in one `glob` answer. */
  globPaths: 1_000,

  /** A glob or an expression, in UTF-16 units. */
  patternChars: 1_000,
  /** Instructions of a compiled pattern: what bounds the time for each character of text. */
  patternInstructions: 500,
  /** Entries met by one search, files and directories. */
  walkedEntries: 50_000,
  walkedDepth: 64,
  /** Bytes read by one search. */
  searchedBytes: 256 * 1024 * 1024,
  /** Of a longer line only so much is searched, in UTF-16 units. */
  searchedLineChars: 4_000,
  /** Of a matching line so much is shown, in UTF-16 units. */
  shownLineChars: 400,
  contextLines: 10,
  grepMatches: 200,

  /** Folders that are made on the way to one new file. */
  madeFolders: 32,
  /** Of a file's digest so much is told: 96 bits. */
  digestChars: 16,
  /** The content of one `write_file`, in UTF-16 units: what the arguments of a call have room for. */
  writtenChars: 256 * 1024,
  /** Bytes of all files of one change, before and after. */
  changedBytes: 64 * 1024 * 1024,
  /** Replacements of one `edit_file`, and files of one `apply_patch`. */
  edits: 50,
  patchedFiles: 50,
  /** Texts that are tried to find out whether an edit was done already, and UTF-16 units of all of them. */
  undoneTexts: 1_000,
  undoneChars: 64 * 1024 * 1024,

  /** Hosts of one list of an operator's. */
  ruledHosts: 200,
  /** Connections that a command has open at once, and how long one may be silent. */
  proxyConnections: 64,
  proxyIdleMs: 60_000,
  portMax: 65_535,

  /** To a server that a model chose: the time to connect, that without a byte, an answer's headers, and redirects. */
  connectMs: 10_000,
  silenceMs: 15_000,
  headerBytes: 16 * 1024,
  redirects: 5,
  /** A sandbox gets so long to let its command begin, and so many UTF-16 units to say why it did not. */
  sandboxStartMs: 30_000,
  sandboxWordsChars: 2_000,
  /** What tries the walls of a sandbox. */
  sandboxProbe: {
    processes: 16,
    memoryBytes: 256 * 1024 * 1024,
    fileBytes: 1024 * 1024,
    scratchBytes: 1024 * 1024,
    cpuSeconds: 10,
    openFiles: 256,
    timeoutMs: 20_000,
  },

  /** What is looked at, before a command begins, for what rules deny to it; what is covered of it, with the folders above. */
  coveredEntries: 250_000,
  covers: 500,
  /** Of `/etc` so large a file and a folder with so many entries are copied; larger ones are mounted. */
  etcFileBytes: 256 * 1024,
  etcFolderEntries: 12,
  etcFolderBytes: 4_096,
  /**
   * Of a command's control group: what the sandbox itself needs of processes and threads; where nobody says how much memory
   * all have together, that of so many processes beside its scratch folders. How often it is looked at, and with what between, until
   * nothing of a command is left.
   */
  groupOwnTasks: 24,
  groupProcesses: 2,
  endLooks: 10_000,
  endLookMs: 1,

  /** A command of `shell`, in UTF-16 units, and its time. */
  commandChars: 64 * 1024,
  commandMinMs: 100,
  commandMs: 120_000,
  commandMaxMs: 600_000,
  /** A job lives so long, and at most so long: an hour, a day. One reading waits at most so long. */
  jobMs: 60 * 60_000,
  jobMaxMs: 24 * 60 * 60_000,
  jobWaitMs: 30_000,
  /** What the sandbox takes to end a command and read its last words. */
  commandGraceMs: 30_000,
  /** Of what a command says on each of its two outputs, the beginning and the end that are kept. */
  outputHeadBytes: 256 * 1024,
  outputTailBytes: 128 * 1024,
  /** A command that says more is killed. */
  outputBytes: 64 * 1024 * 1024,
  /** A command's bounds, where the operator sets no others. */
  shell: {
    processes: 256,
    memoryBytes: 2 * 1024 * 1024 * 1024,
    fileBytes: 1024 * 1024 * 1024,
    scratchBytes: 512 * 1024 * 1024,
    cpuSeconds: 600,
    openFiles: 1_024,
  },

  /** A URL; an answer of the web that is read, and of it so much is told, in UTF-16 units. */
  urlChars: 2_048,
  pageBytes: 2 * 1024 * 1024,
  pageChars: 512 * 1024,
  titleChars: 300,
  fetchTimeoutMs: 45_000,
  /** A search of the web, its results at most and where nobody says how many, and of one the words that are told. */
  searchChars: 400,
  searchHits: 20,
  usualHits: 8,
  snippetChars: 500,
  /** What a provider's model may write about its own search, in tokens and UTF-16 units. */
  searchTokens: 1_024,
  searchTextChars: 8_000,
  /** Threads that turn pages into Markdown at once, and the memory of one. */
  pageThreads: 2,
  pageMegabytes: 256,
  pageStackMegabytes: 1,

  /** Skills of a catalog; of one its name and description in UTF-16 units, its SKILL.md, its files and how deep they lie. */
  skills: 100,
  knownSkills: 1_000,
  skillNameChars: 64,
  skillDescriptionChars: 1_024,
  skillBytes: 64 * 1024,
  skillFiles: 200,
  skillDepth: 6,
  skillFileChars: 512 * 1024,
  /** One AGENTS.md, and all of a workspace. */
  agentsFileBytes: 32 * 1024,
  agentsFilesBytes: 48 * 1024,
  /** One in a mounted workspace that is larger is not read at all. */
  agentsFileReadBytes: 1024 * 1024,

  readTimeoutMs: 30_000,
  writeTimeoutMs: 60_000,
  searchTimeoutMs: 60_000,
  /** A tool that only parks. */
  parkTimeoutMs: 10_000,

  /** A query of `search_history`, and hits of one answer. */
  queryChars: 1_000,
  historyHits: 50,

  todoItems: 100,
  todoChars: 500,

  questionChars: 4_000,
  choices: 20,
  choiceChars: 200,
  minAskSeconds: 60,
  maxAskSeconds: 30 * 24 * 60 * 60,
  minSleepSeconds: 1,
  maxSleepSeconds: 30 * 24 * 60 * 60,
  /** Of a cut result, in one answer of `read_more`: less than what cuts it again. */
  readMoreChars: 40_000,
} as const;
