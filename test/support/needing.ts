import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a test may need that a machine may not have. Anything else is a program in PATH. */
export type Need =
  | 'root'
  /** A user who owns nothing, and who gets at this folder. */
  | 'nobody'
  /** A Node that this user may run. */
  | 'node as nobody'
  | 'GNU cp'
  | 'chattr'
  | 'git'
  | 'nix-instantiate'
  | 'patch'
  | 'python3'
  | 'setpriv'
  | 'strace'
  | 'unshare'

/** How to run a command as the user nobody. */
export const AS_NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']

/**
 * Whether all of it is there. Where something is missing, this throws under CI, so that the file
 * fails; elsewhere it announces what is skipped: `what` is said of the tests.
 */
export function isThere(what: string, ...needs: Need[]): boolean {
  const missing = needs.filter(need => !has(need))
  if (missing.length === 0) return true
  const reason = `missing: ${missing.join(', ')}`
  if (process.env.CI) throw new Error(reason)
  console.warn(`some tests of ${what} are skipped (${reason})`)
  return false
}

const known = new Map<Need, boolean>()

function has(need: Need): boolean {
  const answer = known.get(need) ?? look(need)
  known.set(need, answer)
  return answer
}

function look(need: Need): boolean {
  if (need === 'root') return process.getuid?.() === 0
  if (need === 'nobody') {
    const read = `fs.accessSync(${JSON.stringify(fileURLToPath(import.meta.url))})`
    return works('setpriv', ...AS_NOBODY.slice(1), process.execPath, '-e', read)
  }
  if (need === 'node as nobody') {
    return works('setpriv', ...AS_NOBODY.slice(1), process.execPath, '-e', '0')
  }
  if (need === 'GNU cp') {
    const { stdout } = spawnSync('cp', ['--version'], { encoding: 'utf8' })
    return stdout?.includes('GNU coreutils') ?? false
  }
  // Being there isn't enough in a container that forbids it.
  if (need === 'unshare') return works('unshare', '-m', 'true')
  if (need === 'chattr') return works('sh', '-c', MARKS)
  if (need === 'strace') return works('strace', '-o', '/dev/null', 'true')
  return works('sh', '-c', `command -v ${need}`)
}

/** Not every file system has these marks, and not every container lets them be set. */
const MARKS =
  'file=$(mktemp) && chattr +a "$file" && chattr -a "$file"; code=$?; rm -f "$file"; exit $code'

function works(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0
}
