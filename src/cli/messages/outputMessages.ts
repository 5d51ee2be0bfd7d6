// The sentences about files that a command makes besides the configuration: patches and dumps.

import type { FileProblem } from '../../files/problem.ts'
import { EXIT, type Message, usage } from '../message.ts'

/** A patch that would take the place of a file that it must not. */
export function replacesMessage(target: string): Message {
  return usage(`-o would replace ${target} by a patch. Nothing was written.`, {
    remedy: 'give the patch a name of its own, e.g. -o vfio.patch'
  })
}

/** A file or folder for `flag` to which another user's folder or link leads, in a folder of root's. */
export function outputLedMessage(flag: string, path: string, target: string): Message {
  return {
    code: 'LED_TO_ROOT',
    exit: EXIT.refused,
    what: `${flag} ${path} leads through another user's folder or link to ${target}, where only root can write. Nothing was written.`,
    why: 'that user could make it lead anywhere.',
    remedy: `name that place itself, or another one, e.g. ${flag} ${target}`
  }
}

/** A patch that can't be saved at `path`, as it was named; `isLink` is whether that is a link. */
export function patchMessage(path: string, problem: FileProblem, isLink: boolean): Message {
  if (problem.code === 'IS_DIRECTORY') {
    return usage(`-o ${path} is a folder. Nothing was written.`, {
      remedy: `give the patch a name in it, e.g. -o ${path.replace(/\/*$/, '/')}vfio.patch`
    })
  }
  if (problem.code === 'NOT_REGULAR') {
    const what = isLink ? 'a link' : 'not a regular file'
    return usage(`-o ${path} is ${what}. Nothing was written.`, {
      why: 'the patch becomes a file of its own, which replaces what has its name.',
      remedy: [
        'give the patch a name of its own, e.g. -o vfio.patch',
        'in a pipe it is on standard output without -o: vfio-patch diff … | less'
      ].join('\n')
    })
  }
  return {
    code: 'NOT_WRITABLE',
    exit: EXIT.io,
    what: `cannot write the patch to ${path} (${reasonOf(problem)}). Nothing was written.`,
    remedy: 'choose another place for it, e.g. -o ~/vfio.patch'
  }
}

/** A dump that can't be saved in `folder`, as it was named. */
export function dumpMessage(folder: string, problem: FileProblem, isLink: boolean): Message {
  if (isLink) {
    return usage(`--dump: ${folder} is a link. Nothing was written.`, {
      remedy: 'give a new folder, e.g. --dump my-machine'
    })
  }
  return {
    code: 'NOT_WRITABLE',
    exit: EXIT.io,
    what: `cannot write the dump to ${folder} (${reasonOf(problem)}).`,
    remedy: 'choose another place for it, e.g. --dump ~/my-machine'
  }
}

/** The name of the system's error, where there was one. */
function reasonOf(problem: FileProblem): string {
  switch (problem.code) {
    case 'NOT_FOUND':
      return 'ENOENT'
    case 'NOT_DIRECTORY':
      return 'ENOTDIR'
    case 'READ_ONLY_FS':
      return 'EROFS'
    case 'NO_SPACE':
      return 'ENOSPC'
    case 'IMMUTABLE':
      return 'EPERM'
    case 'MOUNT_POINT':
      return 'EBUSY'
    case 'NOT_READABLE':
    case 'NOT_WRITABLE':
    case 'IO_ERROR':
      return problem.errno
    default:
      return problem.code
  }
}
