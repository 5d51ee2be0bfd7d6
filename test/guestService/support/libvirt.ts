// A private libvirt with the QEMU driver. Its sockets, guests and logs are in a temporary folder, and it
// runs as a user without guests.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, test } from 'vitest'
import { scriptOf, type Wanted } from './service.ts'

const TOOLS = [
  'libvirtd',
  'virsh',
  'qemu-system-x86_64',
  'swtpm',
  'swtpm_setup',
  'setsid',
  'setpriv'
]
const PATH = `${process.env.PATH}:/usr/sbin:/sbin`
const NOBODY = 65534

const missing = TOOLS.filter(it => pathOf(it) === '')
if (missing.length > 0 && process.env.CI) throw new Error(`missing: ${missing.join(', ')}`)

/** Output and exit status of a run of the service; the status is -1 if it was killed. */
export interface Run {
  status: number
  output: string
}

/** Faults to inject into a run of the service. */
export interface InjectedFaults {
  /** The call of virsh at which the service is killed. With `loses`, only that call fails, as if libvirt exited. */
  kill?: { call: number; when: 'before' | 'after'; loses?: boolean }
  /** virsh has no --keep-tpm, as before version 8.9. */
  isOld?: boolean
  /** Only small files can be written, as on a full disk. */
  isFull?: boolean
  /** Records what `written` returns. */
  isWatched?: boolean
}

export interface Libvirt {
  /** Runs the service. */
  serve(wanted: Wanted, faults?: InjectedFaults): Run
  /** The calls of virsh of the last run. */
  calls(): string[]
  /** A checksum of the service's files at each of these calls. */
  written(): string[]
  /** The output of virsh commands, separated by semicolons. Throws if virsh fails. */
  virsh(...words: string[]): string
  /** Writes a file with the XML of a guest, and returns its path. */
  file(name: string, xml: string): string
  /** Writes the XML of a guest, and returns the guest as `Wanted.defined` lists it. */
  definedBy(xml: string, name?: string): Record<string, { xml: string }>
  /** A file in libvirt's folder for guests, which is written if `text` is given. */
  ownFile(path: string, text?: string): { path: string; exists: boolean }
  /** The service's files by their relative paths. */
  records(): Record<string, string>
  setRecords(records: Record<string, string>): void
  /** Removes all guests, networks and records. */
  clear(): void
  stop(): Promise<void>
}

/**
 * A vitest `describe` with a private libvirt, which is cleared after each test. If programs are missing,
 * a single skipped test reports them; in CI, missing programs are an error.
 */
export function describeWithLibvirt(title: string, body: (libvirt: Libvirt) => void): void {
  describe(title, () => {
    if (missing.length > 0) {
      const sentence = `${missing.join(', ')} not found`
      test(`needs libvirt with QEMU: ${sentence}`, context => {
        console.warn(`${title}: skipped, ${sentence}`)
        context.skip(sentence)
      })
      return
    }
    const libvirt = {} as Libvirt
    beforeAll(async () => {
      Object.assign(libvirt, await startLibvirt())
    })
    afterEach(() => libvirt.clear())
    afterAll(() => libvirt.stop())
    body(libvirt)
  })
}

/** Starts libvirt and waits until it replies. */
async function startLibvirt(): Promise<Libvirt> {
  // In memory, because writes to disk are slow.
  const memory = '/dev/shm'
  const top = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), 'vfio-guests-'))
  const at = (...names: string[]) => join(top, ...names)
  const isRoot = process.getuid?.() === 0
  const own = (path: string) => {
    if (isRoot) chownSync(path, NOBODY, NOBODY)
  }
  const folder = (...names: string[]) => {
    mkdirSync(at(...names), { recursive: true, mode: 0o700 })
    own(at(...names))
    return at(...names)
  }
  chmodSync(top, 0o755)
  own(top)
  for (const name of ['bin', 'run', 'config', 'config/libvirt', 'cache', 'data', 'home', 'xml']) {
    folder(name)
  }
  // Otherwise libvirt starts virtlogd, which would keep running.
  writeFileSync(at('config/libvirt/qemu.conf'), 'stdio_handler = "file"\n')
  writeFileSync(at('bin/virsh'), watchedVirsh(pathOf('virsh')))
  chmodSync(at('bin/virsh'), 0o755)

  const env = {
    PATH,
    LC_ALL: 'C',
    HOME: at('home'),
    XDG_RUNTIME_DIR: at('run'),
    XDG_CONFIG_HOME: at('config'),
    XDG_CACHE_HOME: at('cache'),
    XDG_DATA_HOME: at('data'),
    LIBVIRT_DEFAULT_URI: 'qemu:///session'
  }
  const asSomebody = (words: readonly string[]): [string, string[]] => {
    const ids = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']
    const [first = '', ...rest] = isRoot ? ['setpriv', ...ids, ...words] : words
    return [first, rest]
  }
  const daemon = spawn(...asSomebody([pathOf('libvirtd'), '--timeout', '600']), {
    env,
    cwd: top,
    stdio: 'ignore'
  })
  const call = (...words: string[]) =>
    spawnSync(...asSomebody(['virsh', '-q', ...words]), {
      env,
      encoding: 'utf8',
      timeout: 20_000
    })
  const virsh = (...words: string[]) => {
    const { status, stdout, stderr } = call(...words)
    if (status !== 0) throw new Error(`virsh ${words.join(' ')}: ${stderr}`)
    return stdout.trimEnd()
  }
  try {
    await answering(daemon, () => call('uri').status === 0)
  } catch (error) {
    daemon.kill()
    throw error
  }

  const state = at('state')
  const setRecords = (records: Record<string, string>) => {
    rmSync(state, { recursive: true, force: true })
    folder('state')
    for (const [path, text] of Object.entries(records)) {
      const [guest = '', name = ''] = path.split('/')
      writeFileSync(join(folder('state', guest), name), text)
      own(at('state', guest, name))
    }
  }
  setRecords({})

  const file = (name: string, xml: string) => {
    const path = at('xml', name)
    writeFileSync(path, xml)
    own(path)
    return path
  }

  const clear = () => {
    const [running = '', all = '', nets = ''] = virsh(
      'list --uuid; echo next; list --all --uuid; echo next; net-list --all --uuid'
    ).split('next')
    const commands = [
      ...namesOf(running).map(it => `destroy ${it}`),
      ...namesOf(all).map(it => `undefine --managed-save --nvram ${it}`),
      ...namesOf(nets).flatMap(it => [`net-destroy ${it}`, `net-undefine ${it}`])
    ]
    // Only net-destroy of an inactive network may fail.
    if (commands.length > 0) virsh([...commands, 'list'].join('; '))
    setRecords({})
  }

  return {
    virsh,
    setRecords,
    serve(wanted, { kill, isOld, isFull, isWatched } = {}) {
      for (const it of ['calls', 'written']) rmSync(at(it), { force: true })
      // Larger writes fail, as on a full disk.
      const limit = isFull ? "trap '' XFSZ; ulimit -f 1\n" : ''
      const script = `set -e\n${limit}${scriptOf(wanted)}`
      const words = ['setsid', '--fork', '--wait', 'bash', '-c', script]
      const { status, stdout, stderr } = spawnSync(...asSomebody(words), {
        encoding: 'utf8',
        env: {
          ...env,
          PATH: `${at('bin')}:${PATH}`,
          STATE_DIRECTORY: state,
          CALLS: at('calls'),
          ...(isWatched && { WRITTEN: at('written') }),
          ...(kill && { KILL: `${kill.when} ${kill.call}` }),
          ...(kill?.loses && { LOSES: 'yes' }),
          ...(isOld && { WITHOUT: '--keep-tpm' })
        }
      })
      const output = (stdout + stderr).replaceAll(state, '/var/lib/vfio-guests')
      return { status: status === 0 || status === 1 ? status : -1, output }
    },
    calls: () => linesOf(at('calls')),
    written: () => linesOf(at('written')),
    file,
    definedBy: (xml, name = 'win10') => ({
      [name]: { xml: file(`${name.replace(/\W/g, '-')}.xml`, xml) }
    }),
    ownFile(name, text) {
      const path = at('config/libvirt/qemu', name)
      if (text !== undefined) {
        const names = name.split('/').slice(0, -1)
        for (const i of names.keys()) folder('config/libvirt/qemu', ...names.slice(0, i + 1))
        writeFileSync(path, text)
        own(path)
      }
      return { path, exists: existsSync(path) }
    },
    records() {
      const names = readdirSync(state, { recursive: true, encoding: 'utf8' }).sort()
      const files = names.filter(it => statSync(join(state, it)).isFile())
      return Object.fromEntries(files.map(it => [it, readFileSync(join(state, it), 'utf8')]))
    },
    clear,
    async stop() {
      clear()
      const ended = new Promise(resolve => daemon.once('exit', resolve))
      daemon.kill()
      await ended
      rmSync(top, { recursive: true, force: true })
    }
  }
}

function linesOf(path: string): string[] {
  return readFileSync(path, 'utf8').trimEnd().split('\n')
}

export function namesOf(list: string): string[] {
  return list.split('\n').filter(it => it !== '')
}

async function answering(daemon: ChildProcess, isReady: () => boolean): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (daemon.exitCode !== null) throw new Error(`libvirtd ended with ${daemon.exitCode}`)
    if (isReady()) return
    await wait(100)
  }
  throw new Error('libvirtd does not answer')
}

function pathOf(tool: string): string {
  const found = spawnSync('sh', ['-c', `command -v ${tool}`], {
    encoding: 'utf8',
    env: { ...process.env, PATH }
  })
  return found.stdout.trim()
}

/** A wrapper of virsh that records its calls. At one call, it kills the run or fails. */
function watchedVirsh(path: string): string {
  return `#!/bin/sh
end() {
  if [ -z "$LOSES" ]; then kill -KILL 0; fi
  echo 'error: End of file while reading data: Input/output error' >&2
  exit 1
}
echo "$*" >> "$CALLS"
if [ "$WRITTEN" ]; then
  find "$STATE_DIRECTORY" -type f -exec cksum {} + | sort | cksum >> "$WRITTEN"
fi
if [ "$KILL" ]; then count=$(wc -l < "$CALLS"); fi
if [ "$KILL" ] && [ "$KILL" = "before $count" ]; then end; fi
if [ "$1" = help ] && [ "$WITHOUT" ]; then
  ${path} "$@" | grep -v -e "$WITHOUT"
else
  ${path} "$@"
fi
status=$?
if [ "$KILL" ] && [ "$KILL" = "after $count" ]; then end; fi
exit "$status"
`
}
