import { createHash } from 'node:crypto'

function hashOf(body: string): string {
  return createHash('sha256').update(body).digest('hex')
}

// The first line of a file that we install: which version wrote it, and what the rest was then.
const STAMP = /^# vfio-patch (\S+) sha256:([0-9a-f]{64})[^\n]*\n/

/** The file's text with our first line on it; `remark` is what that says to people. */
export function stamp(
  version: string,
  body: string,
  remark = 'installed; changes belong into your own configuration'
): string {
  return `# vfio-patch ${version} sha256:${hashOf(body)} (${remark})\n${body}`
}

/** Whether a text was made with our first line for this body, whatever became of the rest since. */
export function isStampFor(text: string, body: string): boolean {
  return STAMP.exec(text)?.[2] === hashOf(body)
}

/** Whether a text is as this tool installed it, was edited since, or has no such first line. */
export function stampOf(text: string): 'intact' | 'edited' | 'none' {
  const found = STAMP.exec(text)
  if (!found) return 'none'
  return hashOf(text.slice(found[0].length)) === found[2] ? 'intact' : 'edited'
}
