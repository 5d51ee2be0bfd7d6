// Files that a command writes besides the configuration: patches and dumps.

import { dirname } from 'node:path'
import {
  findOpenParents,
  isRedirectedToRootOnly,
  isRootOnlyOutside,
  knownPeople
} from '../../storage/access.ts'
import type { FileProblem } from '../../storage/problem.ts'
import type { TargetFile } from '../../storage/read.ts'
import { type Context, callOn } from '../context.ts'
import { type Message, shellWord, usage } from '../message.ts'

/** A patch that would replace a Nix file or a file of the configuration. */
export function replacesMessage(target: string): Message {
  return usage(`-o would replace ${target} with a patch.`, {
    nothingWritten: true,
    remedy: 'choose another name for the patch, e.g. -o vfio.patch'
  })
}

/** The path for `flag` leads through another user's folder or symlink to a place where only root can write. */
export function redirectedOutputMessage(flag: string, path: string, target: string): Message {
  return {
    code: 'LED_TO_ROOT',
    what: `${flag} ${path} leads through another user's folder or symlink to ${target}, where only root can write.`,
    nothingWritten: true,
    why: 'that user could redirect it to any place.',
    remedy: `pass ${target} directly, or pass another path`
  }
}

/** The patch can't be saved at `path`, which is as the user typed it. */
export function patchMessage(path: string, problem: FileProblem, isLink: boolean): Message {
  if (problem.code === 'IS_DIRECTORY') {
    return usage(`-o ${path} is a folder.`, {
      nothingWritten: true,
      remedy: `give the patch a name in it, e.g. -o ${path.replace(/\/*$/, '/')}vfio.patch`
    })
  }
  if (problem.code === 'NOT_REGULAR') {
    const what = isLink ? 'a symlink' : 'not a regular file'
    return usage(`-o ${path} is ${what}.`, {
      nothingWritten: true,
      why: 'the patch is written to a new file, which replaces the old one.',
      remedy: [
        'choose another name for the patch, e.g. -o vfio.patch',
        'or omit -o to print the patch: vfio-patch diff … | less'
      ].join('\n')
    })
  }
  return {
    code: 'NOT_WRITABLE',
    what: `cannot write the patch to ${path} (${reasonOf(problem)}).`,
    nothingWritten: true,
    remedy: 'choose another place for it, e.g. -o ~/vfio.patch'
  }
}

/** The dump can't be saved in `folder`, which is as the user typed it. */
export function dumpMessage(folder: string, problem: FileProblem, isLink: boolean): Message {
  if (isLink) {
    return usage(`--dump: ${folder} is a symlink.`, {
      nothingWritten: true,
      remedy: 'name a new folder, e.g. --dump my-machine'
    })
  }
  return {
    code: 'NOT_WRITABLE',
    what: `cannot write the dump to ${folder} (${reasonOf(problem)}).`,
    remedy: 'choose another place for it, e.g. --dump ~/my-machine'
  }
}

/** The folder for a dump is not empty. */
export function dumpNotEmpty(folder: string): Message {
  return usage(`--dump: ${folder} is not empty.`, {
    nothingWritten: true,
    remedy: 'name a new folder, e.g. --dump my-machine'
  })
}

/** The name of the system's error, if there was one. */
function reasonOf(problem: FileProblem): string {
  return 'errno' in problem ? problem.errno : (ERRORS[problem.code] ?? problem.code)
}

const ERRORS: Partial<Record<FileProblem['code'], string>> = {
  NOT_FOUND: 'ENOENT',
  NOT_DIRECTORY: 'ENOTDIR',
  READ_ONLY_FS: 'EROFS',
  NO_SPACE: 'ENOSPC',
  IMMUTABLE: 'EPERM',
  MOUNT_POINT: 'EBUSY'
}

/** The error if another user's folder or symlink leads to a file that only root can change. */
export function redirectedFileMessage(context: Context, realpath: string): Message | undefined {
  if (!isRedirectedToRootOnly(context.file, realpath)) return undefined
  return {
    code: 'LED_TO_ROOT',
    what: `${context.file} leads through another user's folder or symlink to ${realpath}, which only root can change.`,
    nothingWritten: true,
    why: 'that user could redirect it to any file that root owns.',
    remedy: `pass the file itself: sudo ${callOn(realpath, context)}`
  }
}

/** The error if a configuration in another user's folder leads to one of these paths, and only root can change it. */
export function redirectedChangeMessage(
  { file }: Context,
  { realpath }: TargetFile,
  paths: readonly string[]
): Message | undefined {
  const folder = dirname(realpath)
  const path = paths.find(it => isRootOnlyOutside(it, folder))
  if (path === undefined) return undefined
  return {
    code: 'LED_TO_ROOT',
    what: `${file} is in another user's folder, and a symlink or an import there leads to ${path}, which only root can change.`,
    nothingWritten: true,
    why: 'that user could redirect it to any folder that root owns.',
    remedy: 'replace the symlink with a folder that belongs to that user, or run this without sudo'
  }
}

/** A note if other users can write to a folder on the path to this configuration, and so replace it. */
export function writableByOthersNote({ realpath, uid }: TargetFile): string | undefined {
  const open = findOpenParents(realpath, uid, knownPeople())
  const [first] = open
  if (first === undefined) return undefined
  const folders = open.map(
    it =>
      `${it.path} (${(it.mode & 0o022) === 0 ? `owned by user ${it.uid}` : `mode ${it.mode.toString(8)}`})`
  )
  const isByMode = (first.mode & 0o022) !== 0
  const remedy = isByMode
    ? `chmod go-w ${shellWord(first.path)}`
    : `chown root: ${shellWord(first.path)}`
  return `other users can write to ${folders.join(' and ')} and could replace ${realpath}, which is built as root. To prevent this: sudo ${remedy}`
}
