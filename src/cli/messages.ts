// The words for every problem that the floors below report as data.

import { dirname } from 'node:path'
import type { ApplyProblem } from '../apply/problem.ts'
import type { CommitProblem } from '../files/commit.ts'
import type { FileProblem } from '../files/problem.ts'
import type { NixError } from '../nix/index.ts'
import { EXIT, type Message } from './message.ts'

/** What the sentences have to name: the command as it was called, and on which file. */
export interface Context {
  command: string
  file: string
  color: boolean
  width: number
}

const NOTHING = 'Nothing was written.'

export function nixMessage(error: NixError, context: Context): Message {
  const { file, color, width } = context
  const { line, column } = error.at
  const rendered = error.render({ color, width: width - 8 }).split('\n')
  const encoding = error.code === 'ENCODING'
  const bug = error.code === 'VERIFICATION_FAILED'
  const atPlace = error.range.end > 0
  const message: Message = {
    code: error.code,
    exit: bug ? EXIT.invalid : EXIT.refused,
    what: `${file}${atPlace ? `:${line}:${column}` : ''}: ${error.message}. ${NOTHING}`
  }
  if (atPlace && rendered.length > 2) message.excerpt = rendered.slice(1, 3).join('\n')
  if (error.code === 'SYNTAX') {
    message.why = 'a file that Nix can not parse can not be edited safely either.'
    message.remedy = error.hint ?? `mend it, and check it with: nix-instantiate --parse ${file}`
  } else if (error.hint !== undefined) message.remedy = error.hint
  if (bug) message.remedy = `please report it with the output of: vfio-patch diff -v ${file}`
  if (encoding && error.hint === undefined) message.remedy = 'convert the file to UTF-8 text'
  return message
}

export function applyMessage(problem: ApplyProblem, context: Context): Message {
  const { path, code } = problem
  switch (problem.code) {
    case 'NIX':
      return nixMessage(problem.error, context)
    case 'NOTHING_CHOSEN':
      return {
        code,
        exit: EXIT.usage,
        what: `nothing to set up was chosen, and ${path} has nothing of vfio-patch yet.`,
        why: 'the tool does not guess which card you want to give away.',
        remedy: [
          'name the devices of the card; "lspci -nn" prints their IDs in square brackets:',
          `vfio-patch ${context.command} ${context.file} --iommu amd --device 10de:1b80 --device 10de:10f0`
        ].join('\n')
      }
    case 'WRONG_KIND':
      return wrongKind(problem.kind, context)
    case 'FOREIGN_FOLDER':
      return {
        code,
        exit: EXIT.refused,
        what:
          problem.found === path
            ? `${path} is not a folder, and the modules of vfio-patch would go there. ${NOTHING}`
            : `the folder ${path} is not one of vfio-patch: it holds ${problem.found}. ${NOTHING}`,
        why: 'your own files are never overwritten.',
        remedy: 'choose another folder for the modules, e.g. --modules-dir vfio-patch'
      }
    case 'MODULES_EDITED':
      return {
        code,
        exit: EXIT.refused,
        what: `${problem.names.join(' and ')} in ${path} ${problem.names.length === 1 ? 'was' : 'were'} changed by hand. ${NOTHING}`,
        why: 'an update would take these changes away.',
        remedy: `move them into your own configuration, then: vfio-patch ${context.command} ${context.file} --replace-modules`
      }
    case 'DECLARED_ELSEWHERE':
      return {
        code,
        exit: EXIT.refused,
        what: `${problem.declaration} already declares ${problem.option}. ${NOTHING}`,
        why: `two modules can not declare one option; ${context.file} gets this one through ${problem.importer}.`,
        remedy: `take ${problem.importer} out of imports (your settings under virtualisation can stay), then run this again`
      }
    case 'PARSE_REJECTED':
      return {
        code,
        exit: EXIT.invalid,
        what: `Nix would not accept the edited ${path}; this is a bug in vfio-patch. ${NOTHING}`,
        why: problem.output,
        remedy: `please report it with the output of: vfio-patch diff -v ${context.file}`
      }
    case 'PARSE_CHECK_MISSING':
      return {
        code,
        exit: EXIT.invalid,
        what: `the result could not be checked with Nix: ${problem.detail}. ${NOTHING}`,
        remedy: 'install Nix where this runs, or leave --parse-check away'
      }
  }
}

function wrongKind(
  kind: 'flake' | 'flake-parts' | 'home-manager' | 'generated',
  { file, command }: Context
): Message {
  const code = 'WRONG_KIND'
  const exit = EXIT.refused
  const pass = `vfio-patch ${command} hosts/pc/configuration.nix`
  if (kind === 'flake') {
    return {
      code,
      exit,
      what: `${file} is a flake, not a NixOS module. ${NOTHING}`,
      remedy: `pass the module that it lists under modules, e.g. ${pass}`
    }
  }
  if (kind === 'flake-parts') {
    return {
      code,
      exit,
      what: `${file} is a module of flake-parts, not of NixOS. ${NOTHING}`,
      remedy: `pass the configuration of the machine, e.g. ${pass}`
    }
  }
  if (kind === 'home-manager') {
    return {
      code,
      exit,
      what: `${file} is a module of home-manager, not of NixOS. ${NOTHING}`,
      why: 'passing a card through is a matter of the whole system, not of one user.',
      remedy: `pass the configuration of the machine, e.g. ${pass}`
    }
  }
  return {
    code,
    exit,
    what: `${file} is generated and says "Do not modify this file!". ${NOTHING}`,
    why: 'the next nixos-generate-config would overwrite what is written here.',
    remedy: `pass the file that imports it, usually: vfio-patch ${command} ${dirname(file)}/configuration.nix`
  }
}

/** A problem with reading; nothing was to be written. */
export function readMessage(problem: FileProblem, context: Context): Message {
  return fileMessage(problem, context, '')
}

/** A problem with writing. What it says of the disk is what was found there afterwards. */
export function commitMessage(problem: CommitProblem, context: Context): Message {
  const changed = problem.onDisk.filter(it => it.state !== 'before')
  const truth =
    changed.length === 0
      ? NOTHING
      : `Now on the disk: ${problem.onDisk.map(it => `${it.path} (${it.state})`).join(', ')}.`
  const message = fileMessage(problem, context, ` ${truth}`)
  if (problem.left.length === 0) return message
  const left = `Left behind, please remove by hand: ${problem.left.join(', ')}`
  return { ...message, remedy: message.remedy ? `${message.remedy}\n${left}` : left }
}

function fileMessage(problem: FileProblem, context: Context, truth: string): Message {
  const { path, code } = problem
  const { command, file } = context
  const sudo = `sudo vfio-patch ${command} ${file}`
  const io = (what: string, remedy: string, why?: string): Message => ({
    code,
    exit: EXIT.io,
    what: `${what}${truth}`,
    ...(why === undefined ? {} : { why }),
    remedy
  })
  const refused = (what: string, remedy: string, why?: string): Message => ({
    ...io(what, remedy, why),
    exit: EXIT.refused
  })
  const stale = (what: string, remedy: string, why?: string): Message => ({
    ...io(what, remedy, why),
    exit: EXIT.stale
  })
  switch (problem.code) {
    case 'NOT_FOUND':
      return io(
        problem.hops.length > 1
          ? `${path} leads to nothing (${problem.hops.join(' -> ')}).`
          : `${path} does not exist.`,
        `pass the file: vfio-patch ${command} PATH\nIn an installer: nixos-generate-config --root /mnt, then vfio-patch ${command} --root /mnt`
      )
    case 'IS_DIRECTORY':
      return io(
        `${path} is a folder.`,
        `pass a file: vfio-patch ${command} ${path}/configuration.nix`
      )
    case 'NOT_DIRECTORY':
      return io(`${path} is not a folder.`, 'move it out of the way, then run this again')
    case 'NOT_REGULAR':
      return refused(`${path} is not a regular file.`, 'pass the file that it stands for')
    case 'NOT_READABLE':
      return io(`cannot read ${path}: permission denied.`, sudo)
    case 'NOT_WRITABLE':
      return io(
        `cannot write to ${path}: permission denied.`,
        `${sudo}\nor keep the change as a patch: vfio-patch diff ${file} -o vfio.patch`
      )
    case 'READ_ONLY_FS':
      return io(
        `${path} is on a read-only file system.`,
        `remount it read-write, or use the patch: vfio-patch diff ${file} -o vfio.patch`
      )
    case 'STORE_LINK':
      return refused(
        `${path} is a link into the Nix store (${problem.hops.join(' -> ')}) and cannot be edited.`,
        'find the source file in your repository and pass that file',
        'it is generated, e.g. by home-manager or environment.etc.'
      )
    case 'LINK_LOOP':
      return refused(
        `${path} is a link that leads back to itself.`,
        'mend the link',
        problem.hops.join(' -> ')
      )
    case 'OUTSIDE_ROOT':
      return refused(
        `${path} is not inside ${problem.root}.`,
        `pass a file below ${problem.root}, or leave --root away`
      )
    case 'IMMUTABLE':
      return refused(
        `${path} is immutable (chattr +i).`,
        `sudo chattr -i ${path}, then run this again`
      )
    case 'MOUNT_POINT':
      return refused(
        `${path} is a mount point of its own and cannot be replaced safely.`,
        problem.source === null
          ? 'edit the file that is mounted there'
          : `edit the original: vfio-patch ${command} ${problem.source}`,
        'a single file is bind-mounted, as impermanence does.'
      )
    case 'HARD_LINKS':
      return refused(
        `${path} has ${problem.count} hard links; replacing it would separate them.`,
        `copy it first: cp ${path} ${path}.new && mv ${path}.new ${path}`
      )
    case 'OPEN_FOLDER':
      return refused(
        `the folder ${path} can be written to by others (owner ${problem.uid}, mode ${problem.mode.toString(8)}).`,
        `sudo chmod go-w ${path}`,
        'somebody else could put another file in its place while this runs.'
      )
    case 'NO_SPACE':
      return io(
        `no space left for ${path} (needs ${Math.ceil(problem.needed / 1024)} KB).`,
        'free space (nix-collect-garbage), then run this again'
      )
    case 'IO_ERROR':
      return io(
        `error on ${path} (${problem.syscall}: ${problem.errno}).`,
        'check the disk (dmesg) before trying again'
      )
    case 'NOT_AS_WRITTEN':
      return io(
        `${path} could not be written: what was read back is not what was written.`,
        'check the disk (dmesg) before trying again'
      )
    case 'BACKUP_FAILED': {
      const cause = fileMessage(problem.cause, context, '')
      return io(
        `could not save a backup in ${path}: ${cause.what}`,
        'mend that folder, or repeat with --no-backup --yes'
      )
    }
    case 'BACKUP_DAMAGED':
      return io(
        `the copy that run ${problem.run} kept of ${path} is damaged or gone.`,
        'restore the file from a backup of your own'
      )
    case 'STALE':
      return stale(
        `${path} changed while you were deciding.`,
        `run vfio-patch ${command} again to see a fresh diff`
      )
    case 'LOCKED':
      return stale(
        `another vfio-patch (pid ${problem.pid}) is working on ${path}.`,
        'wait for it and run this again'
      )
    case 'EDITED_SINCE':
      return stale(
        `${path} was edited after the last apply, so undo would lose those edits.${truth === '' ? ` ${NOTHING}` : ''}`,
        'take the import and the virtualisation.vfio block out by hand'
      )
    case 'NO_RUN':
      return io(`there is nothing to undo for ${path}.`, 'see the runs: vfio-patch undo --list')
  }
}
