// Sentences about boot entries to which options can't be added. `entry` is the path of the specialisation.

/** An error of the toolkit without its place, which the caller adds. */
interface Refusal {
  code: 'CONFLICT' | 'NO_TARGET'
  message: string
  hint: string
}

const NEW_NAME = 'choose a new name for the boot entry'

function noTarget(message: string, hint = NEW_NAME): Refusal {
  return { code: 'NO_TARGET', message, hint }
}

function rewriteOrRename(entry: string): string {
  return `write it as ${entry}.configuration = { … }, or ${NEW_NAME}`
}

/** Every boot entry sets the option to another value. */
export function setForEveryEntry(option: string): Refusal {
  return {
    code: 'CONFLICT',
    message: `${option} is set for every boot entry here, so a specialisation cannot give it another value`,
    hint: 'remove it here, or set it to what you want in every boot entry'
  }
}

/** `inheritParentConfig` is false. */
export function inheritsNothing(entry: string): Refusal {
  return noTarget(
    `${entry} does not inherit this configuration, so it does not have the modules of vfio-patch`
  )
}

/** `toplevel` is set. */
export function isBuiltSystem(entry: string): Refusal {
  return noTarget(`${entry} is a system that was built elsewhere, so it ignores options`)
}

export function isConditional(entry: string, conditions: readonly string[]): Refusal {
  return noTarget(
    `${entry} applies only if ${conditions.join(' and ')}`,
    `${NEW_NAME}, or add the options there yourself`
  )
}

export function isFunction(entry: string): Refusal {
  return noTarget(`${entry} is a function that cannot be edited`, rewriteOrRename(entry))
}

export function isInOtherFile(entry: string, source: string): Refusal {
  return noTarget(
    `${entry} is in another file, ${source}`,
    `${NEW_NAME}, or add the options in that file yourself`
  )
}

export function isReference(entry: string, source: string): Refusal {
  return noTarget(
    `${entry} is ${source}, so nothing can be added to it here`,
    rewriteOrRename(entry)
  )
}
