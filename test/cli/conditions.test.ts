// Every condition that stops a command. Each row has the message and the exit code; the document of
// --json must have the same.

import { chmodSync, linkSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { ErrorCode } from '../../src/cli/exitCodes.ts'
import { formatMessage, type Message } from '../../src/cli/message.ts'
import { AS_NOBODY, type Need, needing } from './support/needing.ts'
import { type CallOptions, makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const CONFIGURATION = '{ ... }:\n{\n  system.stateVersion = "26.05";\n}\n'
const FILE = '/etc/nixos/configuration.nix'
const APPLY = ['apply', '-qy', 'configuration.nix', '--iommu', 'amd', '--parse-check=off']
const PLAIN = ['apply', '-qy', 'configuration.nix', '--iommu', 'amd']
const CALL = `vfio-patch ${APPLY.join(' ')}`
const MOUNT: CallOptions['through'] = ['unshare', '-m']

interface Condition {
  name: string
  code: ErrorCode
  exit: number
  stderr: string
  needs?: Need[]
  /** The content of configuration.nix, by default `CONFIGURATION`; null for no file. */
  content?: string | null
  prepare?: (place: Place) => unknown
  words?: string[]
  options?: CallOptions
}

/** Puts a nix-instantiate that runs this script first in PATH. */
function withNix(script: string): Pick<Condition, 'prepare' | 'options'> {
  return {
    prepare: place => {
      mkdirSync(join(place.top, 'bin'))
      const program = join(place.top, 'bin/nix-instantiate')
      writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
      place.env.PATH = `${join(place.top, 'bin')}:${place.env.PATH}`
    }
  }
}

const CONDITIONS: Condition[] = [
  {
    name: 'an unknown command',
    words: ['aply', 'configuration.nix'],
    code: 'USAGE',
    exit: 2,
    stderr: text`
      vfio-patch: unknown command "aply". Did you mean "apply"?
        Do:  vfio-patch --help
      `
  },
  {
    name: 'an empty --root',
    words: ['apply', '--root', ''],
    code: 'USAGE',
    exit: 2,
    stderr: text`
      vfio-patch: --root needs an absolute path, got "".
        Why: an empty value would mean the running system.
        Do:  check the variable you passed, e.g. --root /mnt
      `
  },
  {
    name: 'two --root flags',
    words: ['apply', '--root', '/a', '--root', '/b'],
    code: 'USAGE',
    exit: 2,
    stderr: text`
      vfio-patch: --root was given twice (/a, /b).
        Do:  give it once
      `
  },
  {
    name: 'a file that does not exist',
    content: null,
    code: 'NOT_FOUND',
    exit: 4,
    stderr: text`
      vfio-patch: ${FILE} does not exist.
        Do:  pass the file: vfio-patch apply PATH
             or, in an installer: nixos-generate-config --root /mnt, then vfio-patch apply --root /mnt
      `
  },
  {
    name: 'a file that is not readable',
    needs: ['root', 'nobody'],
    prepare: place => chmodSync(join(place.nixos, 'configuration.nix'), 0o600),
    options: { through: AS_NOBODY },
    code: 'NOT_READABLE',
    exit: 4,
    stderr: text`
      vfio-patch: cannot read ${FILE}: permission denied.
        Do:  sudo ${CALL}
      `
  },
  {
    name: 'a folder that is not writable',
    needs: ['root', 'nobody'],
    options: { through: AS_NOBODY },
    code: 'NOT_WRITABLE',
    exit: 4,
    stderr: text`
      vfio-patch: cannot write to /etc/nixos: permission denied. Nothing was written.
        Do:  sudo ${CALL}
             or keep the change as a patch: add --dry-run -o vfio.patch
      `
  },
  {
    name: 'a read-only file system',
    needs: ['root', 'unshare'],
    options: {
      through: MOUNT,
      script: 'mount --bind . . && mount -o remount,ro,bind . && cd . && exec "$@"'
    },
    code: 'READ_ONLY_FS',
    exit: 4,
    stderr: text`
      vfio-patch: /etc/nixos is on a read-only file system. Nothing was written.
        Do:  remount it read-write, or keep the change as a patch: add --dry-run -o vfio.patch
      `
  },
  {
    name: 'a symlink into the Nix store',
    content: null,
    prepare: place =>
      symlinkSync('/nix/store/0-c/configuration.nix', join(place.nixos, 'configuration.nix')),
    code: 'STORE_LINK',
    exit: 3,
    stderr: text`
      vfio-patch: ${FILE} is a symlink into the Nix store (${FILE} -> /nix/store/0-c/configuration.nix) and cannot be edited.
        Why: it is generated, e.g. by home-manager or environment.etc.
        Do:  find the source file in your repository and pass that file
      `
  },
  {
    name: 'an immutable file',
    needs: ['root', 'chattr'],
    options: {
      script: 'chattr +i configuration.nix; "$@"; code=$?; chattr -i configuration.nix; exit $code'
    },
    code: 'IMMUTABLE',
    exit: 3,
    stderr: text`
      vfio-patch: ${FILE} is immutable (chattr +i). Nothing was written.
        Do:  sudo chattr -i ${FILE}, then run this again
      `
  },
  {
    name: 'a file that is a mount point',
    needs: ['root', 'unshare'],
    prepare: place => {
      mkdirSync(join(place.top, 'persist'))
      writeFileSync(join(place.top, 'persist/configuration.nix'), CONFIGURATION)
    },
    options: {
      through: MOUNT,
      script: 'mount --bind ../../persist/configuration.nix configuration.nix && exec "$@"'
    },
    code: 'MOUNT_POINT',
    exit: 3,
    stderr: text`
      vfio-patch: ${FILE} is a mount point and cannot be replaced safely. Nothing was written.
        Why: the file itself is bind-mounted, e.g. by impermanence.
        Do:  edit the original: vfio-patch apply /persist/configuration.nix
      `
  },
  {
    name: 'a file with two hard links',
    prepare: place => linkSync(join(place.nixos, 'configuration.nix'), join(place.nixos, 'other')),
    code: 'HARD_LINKS',
    exit: 3,
    stderr: text`
      vfio-patch: ${FILE} has 2 hard links; replacing it would separate them. Nothing was written.
        Do:  copy it first: cp ${FILE} ${FILE}.new && mv ${FILE}.new ${FILE}
      `
  },
  {
    name: 'a full disk',
    needs: ['root', 'unshare'],
    content: `${CONFIGURATION}${'# much\n'.repeat(1500)}`,
    words: ['option', 'set', '-qy', 'configuration.nix', 'a', '1', '--parse-check=off'],
    options: {
      through: MOUNT,
      script:
        'cp configuration.nix ../../kept && mount -t tmpfs -o size=16k,mode=755 none . && cd . && cp ../../kept configuration.nix && rm ../../kept && "$@"'
    },
    code: 'NO_SPACE',
    exit: 4,
    stderr: text`
      vfio-patch: no space left for ${FILE} (needs 11 KB). Nothing was written.
        Do:  free space (nix-collect-garbage), then run this again
      `
  },
  {
    name: 'a disk error',
    needs: ['strace'],
    words: ['option', 'set', '-qy', 'configuration.nix', 'a', '1', '--parse-check=off'],
    options: {
      through: [
        ...['strace', '-f', '--seccomp-bpf', '-o', '/dev/null', '-e', 'trace=rename'],
        ...['-e', 'inject=rename:error=EIO']
      ]
    },
    code: 'IO_ERROR',
    exit: 4,
    stderr: text`
      vfio-patch: error on ${FILE} (rename: EIO). Nothing was written.
        Do:  check the disk (dmesg) before trying again
      `
  },
  {
    name: 'a backup that cannot be saved',
    prepare: place => writeFileSync(join(place.top, 'state'), ''),
    code: 'BACKUP_FAILED',
    exit: 4,
    stderr: text`
      vfio-patch: could not save a backup in /state: /state is not a folder. Nothing was written.
        Do:  check that folder, or repeat with --no-backup --yes
      `
  },
  {
    name: 'a file that changes during the run',
    ...withNix('cat >/dev/null; echo "{ }" >configuration.nix'),
    words: PLAIN,
    code: 'STALE',
    exit: 5,
    stderr: text`
      vfio-patch: ${FILE} changed while you were deciding. Nothing was written.
        Do:  run vfio-patch apply again to see the new diff
      `
  },
  {
    name: 'a flake',
    content: '{\n  inputs = { };\n  outputs = { self, ... }: { };\n}\n',
    code: 'WRONG_KIND',
    exit: 3,
    stderr: text`
      vfio-patch: ${FILE} is a flake, not a NixOS module. Nothing was written.
        Do:  pass the module that it lists under modules, e.g. vfio-patch apply hosts/pc/configuration.nix
      `
  },
  {
    name: 'a syntax error',
    content: '{\n  a = [ 1 ;\n}\n',
    code: 'SYNTAX',
    exit: 3,
    stderr: text`
      vfio-patch: ${FILE}:2:10: "]" is missing here. Nothing was written.
          2 |   a = [ 1 ;
                       ^
        Why: a file that Nix can't parse can't be edited safely.
        Do:  fix it, and check it with: nix-instantiate --parse ${FILE}
      `
  },
  {
    name: 'a value that cannot be extended',
    content: '{ ... }:\n{\n  boot.kernelParams = f x;\n}\n',
    words: ['option', 'add', '-qy', 'configuration.nix', 'boot.kernelParams', '"quiet"'],
    code: 'CALL',
    exit: 3,
    stderr: text`
      vfio-patch: ${FILE}:3:23: the value is computed elsewhere, so there is no list to edit here. Nothing was written.
          3 |   boot.kernelParams = f x;
                                    ^^^
        Do:  if it is a plain list, append a list to it:  … ++ [ ]
      `
  },
  {
    name: 'a result that Nix does not accept',
    ...withNix('! { cat; echo "$*"; } | grep -q vfio || { echo "error: no" >&2; exit 1; }'),
    words: PLAIN,
    code: 'PARSE_REJECTED',
    exit: 6,
    stderr: text`
      vfio-patch: Nix would not accept the edited ${FILE}; this is a bug in vfio-patch. Nothing was written.
        Why: error: no
        Do:  please report it, with the file and this call: vfio-patch ${PLAIN.join(' ')}
      `
  },
  {
    name: '--parse-check=require without Nix',
    words: [...PLAIN, '--parse-check=require'],
    options: { script: 'PATH=; exec "$@"' },
    code: 'PARSE_CHECK_MISSING',
    exit: 6,
    stderr: text`
      vfio-patch: the result could not be checked with Nix: nix-instantiate was not found. Nothing was written.
        Do:  install Nix on this machine, or omit --parse-check
      `
  },
  {
    name: 'another vfio-patch that works on the file',
    prepare: place => {
      // This process holds the lock of the folder.
      const started = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ')[19]
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
      const holder = `${process.pid}:${started}:${boot}:.`
      symlinkSync(holder, join(place.nixos, '.vfio-patch.lock'))
    },
    code: 'LOCKED',
    exit: 5,
    stderr: text`
      vfio-patch: another vfio-patch (pid ${process.pid}) is working on ${FILE}. Nothing was written.
        Why: it has held the lock of /etc/nixos since WHEN
        Do:  wait until it ends, then run this again; if process ${process.pid} is not vfio-patch: rm /etc/nixos/.vfio-patch.lock
      `
  },
  {
    name: 'a record of an interrupted run that cannot be read',
    prepare: place => place.write('.vfio-patch.journal', 'spoilt'),
    code: 'INTERRUPTED',
    exit: 5,
    stderr: text`
      vfio-patch: an earlier run was interrupted, and its record /etc/nixos/.vfio-patch.journal is damaged. Nothing was written.
        Do:  check that your files are as you want them, then: rm /etc/nixos/.vfio-patch.journal
      `
  },
  {
    name: 'an undo after an edit',
    prepare: async place => {
      await place.run(['option', 'set', '-qy', 'configuration.nix', 'a', '1'])
      place.write('configuration.nix', '{ }\n')
    },
    words: ['undo', '-qy', 'configuration.nix'],
    code: 'EDITED_SINCE',
    exit: 5,
    stderr: text`
      vfio-patch: ${FILE} was edited after the last option set, so undo would lose those edits. Nothing was written.
        Do:  revert the change in an editor
      `
  },
  {
    name: 'a system that does not evaluate',
    words: [...APPLY, '--eval', 'echo "error: no"; grep -q vfio configuration.nix && exit 1'],
    code: 'EVAL_FAILED',
    exit: 6,
    stderr: text`
      vfio-patch: the system does not evaluate with this change. Nothing was written.
          error: no
        Why: it does not evaluate without the change either.
        Do:  fix that error first, or omit --eval; -v shows the whole output of the command
      `
  },
  {
    name: 'an internal error',
    prepare: place => {
      const fault = 'import fs from "node:fs"; import { syncBuiltinESMExports } from "node:module";'
      const body =
        'fs.accessSync = () => { throw new TypeError("it broke") }; syncBuiltinESMExports()'
      writeFileSync(join(place.top, 'fault.mjs'), fault + body)
      place.env.NODE_OPTIONS = `--import=${join(place.top, 'fault.mjs')}`
    },
    code: 'INTERNAL',
    exit: 70,
    stderr: text`
      vfio-patch: internal error: it broke. ${FILE} is unchanged.
        Do:  please report it, with the output of: ${CALL} -v
      `
  }
]

for (const condition of CONDITIONS) {
  needing(...(condition.needs ?? []))(
    `${condition.code} reports ${condition.name}, also with --json`,
    async () => {
      const plain = await run(condition, [])
      expect({ code: plain.code, stdout: plain.stdout, stderr: plain.stderr }).toEqual({
        code: condition.exit,
        stdout: '',
        stderr: condition.stderr
      })
      const { code, stdout, stderr } = await run(condition, ['--json'])
      const { error, outcome, exit } = JSON.parse(stdout)
      expect({ code, stderr, of: error.code, exit, errorExit: error.exit }).toEqual({
        code: condition.exit,
        stderr: '',
        of: condition.code,
        exit: condition.exit,
        errorExit: condition.exit
      })
      expect(['refused', 'failed']).toContain(outcome)
      const { message: what, excerpt, why, hint: remedy } = error
      const message: Message = { what, excerpt, why, remedy, code: condition.code }
      const given = Object.entries(message).filter(([, it]) => it !== null)
      expect(
        formatMessage(Object.fromEntries(given) as typeof message).replace(' --json', '')
      ).toBe(condition.stderr)
    }
  )
}

/** Creates the condition, and runs the command. */
async function run(condition: Condition, more: string[]) {
  const { content = CONFIGURATION, prepare, words = APPLY, options } = condition
  const place = makePlace(content === null ? {} : { 'configuration.nix': content })
  await prepare?.(place)
  return place.run([...words, ...more], options)
}
