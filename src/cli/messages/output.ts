// The sentences about files that a command makes besides the configuration: patches and dumps.

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

/** A patch that would take the place of a file that it must not. */
export function replacesMessage(target: string): Message {
  return usage(`-o would replace ${target} by a patch.`, {
    nothingWritten: true,
    remedy: 'give the patch a name of its own, e.g. -o vfio.patch'
  })
}

/** A file or folder for `flag` to which another user's folder or link leads, in a folder of root's. */
export function outputLedMessage(flag: string, path: string, target: string): Message {
  return {
    code: 'LED_TO_ROOT',
    what: `${flag} ${path} leads through another user's folder or link to ${target}, where only root can write.`,
    nothingWritten: true,
    why: 'that user could make it lead anywhere.',
    remedy: `name that place itself, or another one, e.g. ${flag} ${target}`
  }
}

/** A patch that can't be saved at `path`, as it was named; `isLink` is whether that is a link. */
export function patchMessage(path: string, problem: FileProblem, isLink: boolean): Message {
  if (problem.code === 'IS_DIRECTORY') {
    return usage(`-o ${path} is a folder.`, {
      nothingWritten: true,
      remedy: `give the patch a name in it, e.g. -o ${path.replace(/\/*$/, '/')}vfio.patch`
    })
  }
  if (problem.code === 'NOT_REGULAR') {
    const what = isLink ? 'a link' : 'not a regular file'
    return usage(`-o ${path} is ${what}.`, {
      nothingWritten: true,
      why: 'the patch becomes a file of its own, which replaces what has its name.',
      remedy: [
        'give the patch a name of its own, e.g. -o vfio.patch',
        'in a pipe it is on standard output without -o: vfio-patch diff … | less'
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

/** A dump that can't be saved in `folder`, as it was named. */
export function dumpMessage(folder: string, problem: FileProblem, isLink: boolean): Message {
  if (isLink) {
    return usage(`--dump: ${folder} is a link.`, {
      nothingWritten: true,
      remedy: 'give a new folder, e.g. --dump my-machine'
    })
  }
  return {
    code: 'NOT_WRITABLE',
    what: `cannot write the dump to ${folder} (${reasonOf(problem)}).`,
    remedy: 'choose another place for it, e.g. --dump ~/my-machine'
  }
}

/** The name of the system's error, where there was one. */
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

/** The refusal of a file that another user's folder or link leads to; undefined where that is not so. */
export function ledToRootsMessage(context: Context, realpath: string): Message | undefined {
  if (!isRedirectedToRootOnly(context.file, realpath)) return undefined
  return {
    code: 'LED_TO_ROOT',
    what: `${context.file} leads through another user's folder or link to ${realpath}, which only root can change.`,
    nothingWritten: true,
    why: "that user could make it lead to any file of root's.",
    remedy: `name the file itself: sudo ${callOn(realpath, context)}`
  }
}

/**
 * The refusal of a change that would reach from a configuration in another user's folder into a folder of
 * root's; undefined where none of these paths does.
 */
export function reachesRootsMessage(
  { file }: Context,
  { realpath }: TargetFile,
  paths: readonly string[]
): Message | undefined {
  const folder = dirname(realpath)
  const path = paths.find(it => isRootOnlyOutside(it, folder))
  if (path === undefined) return undefined
  return {
    code: 'LED_TO_ROOT',
    what: `${file} is in another user's folder, and a link or an import there leads to ${path}, which only root can change.`,
    nothingWritten: true,
    why: "that user could make it lead to any folder of root's.",
    remedy: `put a folder of that user's in place of the link, or run this without sudo`
  }
}

/**
 * A note where somebody else can put another configuration in the place of this one, by a folder that
 * leads to it; undefined where nobody can.
 */
export function openWayNote({ realpath, uid }: TargetFile): string | undefined {
  const open = findOpenParents(realpath, uid, knownPeople())
  const [first] = open
  if (first === undefined) return undefined
  const folders = open.map(
    it =>
      `${it.path} (${(it.mode & 0o022) === 0 ? `of user ${it.uid}` : `mode ${it.mode.toString(8)}`})`
  )
  const isByMode = (first.mode & 0o022) !== 0
  const remedy = isByMode
    ? `chmod go-w ${shellWord(first.path)}`
    : `chown root: ${shellWord(first.path)}`
  return `others can write to ${folders.join(' and ')} and so replace ${realpath}, which root builds: sudo ${remedy}`
}
