import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Requirements of tests that not every machine meets. Names without a comment are programs in PATH. */
export type Need =
  | 'root'
  /** The user `nobody` can read this folder. */
  | 'nobody'
  /** The user `nobody` can run this Node. */
  | 'node as nobody'
  | 'GNU cp'
  | 'bash'
  | 'chattr'
  | 'git'
  | 'nix-instantiate'
  | 'patch'
  | 'python3'
  | 'setpriv'
  | 'strace'
  | 'unshare'
  | 'virsh'
  | 'virt-xml-validate'
  | 'xmllint'

/** The words before a command that run it as the user `nobody`. */
export const AS_NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']

/** Whether to run only tests that need no other program (`npm run test:quick`). */
export const isQuickRun = process.env.VFIO_PATCH_TEST === 'quick'

/**
 * True if all requirements are met. Otherwise it throws in CI, so that the test file fails; elsewhere it
 * prints that some tests of `what` are skipped. In a quick run, always false.
 */
export function areAvailable(what: string, ...needs: Need[]): boolean {
  if (isQuickRun) return false
  const missing = needs.filter(need => !has(need))
  if (missing.length === 0) return true
  const reason = `missing: ${missing.join(', ')}`
  if (process.env.CI) throw new Error(reason)
  console.warn(`some tests of ${what} are skipped (${reason})`)
  return false
}

const known = new Map<Need, boolean>()

function has(need: Need): boolean {
  const answer = known.get(need) ?? probe(need)
  known.set(need, answer)
  return answer
}

function probe(need: Need): boolean {
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
  // A container may have the program but forbid it.
  if (need === 'unshare') return works('unshare', '-m', 'true')
  if (need === 'chattr') return works('sh', '-c', CHATTR_WORKS)
  if (need === 'strace') return works('strace', '-o', '/dev/null', 'true')
  return works('sh', '-c', `command -v ${need}`)
}

/** Not every file system has these attributes, and not every container allows setting them. */
const CHATTR_WORKS =
  'file=$(mktemp) && chattr +a "$file" && chattr -a "$file"; code=$?; rm -f "$file"; exit $code'

function works(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0
}
