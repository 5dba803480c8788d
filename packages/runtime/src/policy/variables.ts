/** Variables that make programs run others. */
import { UNKNOWN } from './options.ts';

/** Their value is a command line. */
const COMMAND =
  /^(?:PS[0-4]|PROMPT_COMMAND|\w*(?:COMMAND|CMD|EDITOR|VISUAL|PAGER|BROWSER|ASKPASS|RSH|SHELL|SSH|EXTERNAL_DIFF|WRAPPER|LAUNCHER|LINKER|RUNNER)|FCEDIT|LESSOPEN|LESSCLOSE|CC|CXX|CPP|LD|AR|AS|FC)$/i;
/** It names a file of code, or holds code or options in another language. */
const CODE =
  /^(?:ENV|BASH_ENV|BASH_FUNC.*|BASH_XTRACEFD|BASH_CMDS|BASH_ALIASES|BASH_LOADABLES_PATH|SHELLOPTS|BASHOPTS|LD_\w+|DYLD_\w+|GCONV_PATH|GIT_(?:CONFIG\w*|EXEC_PATH|TEMPLATE_DIR|PROXY_COMMAND)|PERL5(?:OPT|DB)|RUBYOPT|LUA_INIT\w*|PYTHON(?:STARTUP|INSPECT|HOME)|NODE_OPTIONS|(?:JAVA_TOOL|JDK_JAVA|_JAVA)_OPTIONS|MAVEN_OPTS|GNUMAKEFLAGS|MAKEFLAGS|MAKEFILES|TAR_OPTIONS|RSYNC_\w+|ZIPOPT|LESS|LESSKEY\w*|MORE|MANOPT|EXINIT|VIMINIT|WGETRC|CURL_HOME|INPUTRC|GOFLAGS|RUSTFLAGS|npm_config_\w+)$/i;
/** Options that only say how much. */
const HARMLESS =
  /^(?:-?j? ?\d*|-mod=\w+|-D ?warnings|-?[FRSXi]+|(?:\s*--(?:max-old-space-size|stack-trace-limit|no-warnings|trace-warnings)(?:=\d+)?)+)\s*$/;

/** Whether what it is set to is a command line (`command`), or may run anything (`code`); null: neither. */
export function kindOf(name: string): 'command' | 'code' | null {
  if (COMMAND.test(name)) return 'command';
  return CODE.test(name) ? 'code' : null;
}

/** Whether nothing comes of the value of a variable that may run anything. */
export const isHarmless = (value: string): boolean => HARMLESS.test(value);

/** A word of a builtin that names a variable. */
const NAMED = /^(\w+)(?:\[.*\])?(?:(\+?=)(.*))?$/s;

/** `NAME=value` as a builtin or `env` reads it; null in the place of a value that is not known. */
export function assignmentOf(word: string): { name: string; value: string | null } | null {
  const [, name, sign, value] = NAMED.exec(word) ?? [];
  const isKnown = sign === '=' && !word.includes(UNKNOWN);
  return name === undefined ? null : { name, value: isKnown ? (value ?? '') : null };
}
