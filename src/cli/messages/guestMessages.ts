// The words for what keeps a guest out of a configuration.

import type { ApplyProblem } from '../../apply/problem.ts'
import { shellWord } from '../arguments/shellWord.ts'
import type { Context } from '../context.ts'
import { EXIT, type Message } from '../message.ts'

type GuestProblem = Extract<ApplyProblem, { code: `GUEST_${string}` }>

/** Whether a problem is about the guest that was named. */
export function isAboutGuest(problem: ApplyProblem): problem is GuestProblem {
  return problem.code.startsWith('GUEST_')
}

/** `file` is the XML that the guest is made from. */
export function guestMessage(problem: GuestProblem, context: Context, file: string): Message {
  const { code, path } = problem
  switch (problem.code) {
    case 'GUEST_DEFINED': {
      const { name, at } = problem
      return {
        code,
        exit: EXIT.refused,
        what: `${path}:${at.line}:${at.column}: the guest ${name} stands in your own configuration. Nothing was written.`,
        at: { path, ...at },
        why: 'defined in two places, it would be two guests in one.',
        remedy: `take it out there, then run this again; or leave --domain away, and edit it there`
      }
    }
    case 'GUEST_UUID': {
      const { name, uuid } = problem
      return {
        code,
        exit: EXIT.refused,
        what: `${path} is another guest with the UUID of ${name}, ${uuid}. Nothing was written.`,
        why: 'libvirt knows its guests by that, so to libvirt the two are one.',
        remedy: `if ${name} is its new name, delete that file, then run this again; else give ${name} a UUID of its own, which uuidgen makes`
      }
    }
    case 'GUEST_EDITED': {
      const { name, isOurs } = problem
      return {
        code,
        exit: EXIT.refused,
        what: `${path} ${isOurs ? 'was changed by hand' : 'is not from vfio-patch'}, and the XML says something else. Nothing was written.`,
        why: `both may have news of ${name}, and one of them would be lost.`,
        remedy: [
          'edit the file by hand; what the XML says as Nix is shown by:',
          `vfio-patch domain ${shellWord(file)} --mend`,
          `or take the XML in place of the file: ${context.line} --replace-modules`
        ].join('\n')
      }
    }
    case 'GUEST_NOT_CONVERTED':
      return {
        code,
        exit: EXIT.invalid,
        what: `the guest could not be made into Nix: ${problem.message}. Nothing was written.`,
        why: 'a conversion that could lose something is never written.',
        remedy: `please report it, with the XML and this call: ${context.line}`
      }
  }
}

/** The domain of `file` has no name, or one that no guest of a configuration can have. */
export function badName(name: string | undefined, file: string): Message {
  return {
    code: 'GUEST_NAME',
    exit: EXIT.refused,
    what: `${file}: ${name === undefined ? 'the domain has no <name>' : `a guest can not be called "${name}" here`}. Nothing was written.`,
    why:
      name === undefined
        ? 'libvirt knows its guests by their names.'
        : 'a name has no slash, does not begin with a dot, and is no number or UUID, which libvirt would take it for.',
    remedy: 'give it another <name>, such as win10'
  }
}

/** The domain is one of another machine monitor than QEMU. */
export function otherMonitor(type: string, file: string): Message {
  return {
    code: 'GUEST_TYPE',
    exit: EXIT.refused,
    what: `${file} is a guest for ${type}, and NixOS runs guests of libvirt with QEMU. Nothing was written.`,
    remedy: "for a guest of QEMU it says <domain type='kvm'>"
  }
}

/** The domain holds a password, at a line of the file. */
export function passwordIn(file: string, line: number | undefined): Message {
  return {
    code: 'PASSWORD',
    exit: EXIT.refused,
    what: `${file}${line === undefined ? '' : `:${line}`}: there is a password here. Nothing was written.`,
    why: 'a configuration gets into the Nix store, which everybody on this machine can read.',
    remedy: `take it out of ${shellWord(file)}; a screen that listens on 127.0.0.1 only needs none`
  }
}
