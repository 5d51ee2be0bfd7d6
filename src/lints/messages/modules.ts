// Findings about modules that declare options of vfio-patch's modules.

import type { FindingText } from '../finding.ts'

export function moduleReplaceable(option: string): FindingText {
  return {
    code: 'OLD_MODULE',
    level: 'note',
    message: `this module declares ${option}, as vfio-patch's modules do`,
    why: 'widely copied modules for passthrough contain settings that have no effect today or break the build.',
    remedy:
      "run vfio-patch diff to see whether vfio-patch's modules can replace this one; vfio-patch apply replaces it"
  }
}

/** `path` is the other module. */
export function optionDeclaredTwice(option: string, path: string): FindingText {
  return {
    code: 'DECLARED_TWICE',
    level: 'problem',
    message: `${option} is also declared in ${path}`,
    why: 'the build fails if two modules declare the same option, even if both are disabled.',
    remedy: 'remove one of the two modules from imports'
  }
}
