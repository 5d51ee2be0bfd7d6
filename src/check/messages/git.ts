import type { FindingText } from '../../lints/finding.ts'

/** `files` are relative to the work tree at `folder`. */
export function untrackedFiles(files: readonly string[], folder: string): FindingText {
  return {
    code: 'UNTRACKED_FILE',
    level: 'problem',
    message: `git does not track ${files.join(', ')}`,
    why: 'Nix sees only those files of a flake that git tracks, so the build fails.',
    remedy: `git -C ${quoted(folder)} add -N ${files.map(quoted).join(' ')}`
  }
}

function quoted(word: string): string {
  return /^[\w./+@=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
