import { sha256 } from '../../files/hash.ts'
import { outerPath } from '../../files/run.ts'
import { listRuns, readCopy } from '../../files/runs.ts'

/**
 * What files said before our runs, the newest first, as far back as they are in a row: the text now
 * is what the last run left, the one before it what the run before left, and so on. Nothing of files
 * that were edited since, and nothing where the runs can't be read: nobody depends on it.
 */
export function earlierTexts(
  files: readonly { path: string; text: string }[],
  stateFolder: string,
  root: string
): Map<string, string[]> {
  const runs = listRuns(stateFolder, { root })
  if (!runs.ok) return new Map()
  const found = files.map(({ path, text }): [string, string[]] => {
    const texts: string[] = []
    let now = sha256(Buffer.from(text))
    for (const run of runs.value) {
      const change = run.files.find(it => outerPath(it.path, run.root) === path)
      if (!change) continue
      if (change.after?.sha256 !== now || change.before === null) break
      const copy = readCopy(run, change.before)
      if (!copy.ok) break
      texts.push(Buffer.from(copy.value).toString('utf8'))
      now = change.before.sha256
    }
    return [path, texts]
  })
  return new Map(found)
}
