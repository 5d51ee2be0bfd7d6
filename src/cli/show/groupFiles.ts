// Modules come and go together, so people are told of their folder, and not of each of them.

import { basename, dirname } from 'node:path'

/** A file, or all those in one folder that the same happens to. */
export interface FileGroup<T> {
  /** The path of the file, or that of the folder with a slash behind it. */
  name: string
  files: readonly T[]
}

/**
 * Puts those files that `isModule` into groups by their folder and by `kindOf`, each in the place of its
 * first file. One that is alone keeps its own name, and so do all other files. What lies in `_lib` belongs to
 * the folder around it.
 */
export function groupFiles<T>(
  files: readonly T[],
  pathOf: (file: T) => string,
  isModule: (file: T) => boolean,
  kindOf: (file: T) => string = () => ''
): FileGroup<T>[] {
  const groups = new Map<string, T[]>()
  for (const file of files) {
    const key = isModule(file)
      ? `${kindOf(file)} ${folderOfModule(pathOf(file))}/`
      : `file ${pathOf(file)}`
    groups.set(key, [...(groups.get(key) ?? []), file])
  }
  return [...groups.values()].map(group => {
    const [first] = group.map(pathOf)
    const name = first ?? ''
    return { name: group.length > 1 ? `${folderOfModule(name)}/` : name, files: group }
  })
}

/** The folder that a module belongs to. */
export function folderOfModule(path: string): string {
  const folder = dirname(path)
  return basename(folder) === '_lib' ? dirname(folder) : folder
}
