import {
  type Recording,
  type RecordingEntry,
  recordedSource,
  type Source
} from '../../../src/machine/source.ts'

/** A machine with these paths, each with a text, `-> target` for a symlink, or an empty text for an empty folder. */
export function recordingOf(tree: Record<string, string>): Recording {
  return new Map(
    Object.entries(tree).map(([path, it]): [string, RecordingEntry] => {
      if (it === '') return [path, 'folder']
      return [path, it.startsWith('-> ') ? { link: it.slice(3) } : { text: it }]
    })
  )
}

export function sourceFrom(tree: Record<string, string>): Source {
  return recordedSource(recordingOf(tree))
}
