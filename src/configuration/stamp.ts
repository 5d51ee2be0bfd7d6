import { createHash } from 'node:crypto'

function hashOf(body: string): string {
  return createHash('sha256').update(body).digest('hex')
}

// The first line of a file that vfio-patch installs: its version, and a hash of the remaining text.
const STAMP = /^# vfio-patch (\S+) sha256:([0-9a-f]{64})[^\n]*\n/

/** The text with the stamp as its first line; `remark` is for people who read the file. */
export function stamp(
  version: string,
  body: string,
  remark = 'installed; make changes in your own configuration'
): string {
  return `# vfio-patch ${version} sha256:${hashOf(body)} (${remark})\n${body}`
}

/** Whether the stamp of a text is for this body. The text itself may have been edited since. */
export function isStampFor(text: string, body: string): boolean {
  return STAMP.exec(text)?.[2] === hashOf(body)
}

/** Whether a text is as vfio-patch installed it, was edited since, or has no stamp. */
export function stampOf(text: string): 'intact' | 'edited' | 'none' {
  const found = STAMP.exec(text)
  if (!found) return 'none'
  return hashOf(text.slice(found[0].length)) === found[2] ? 'intact' : 'edited'
}
