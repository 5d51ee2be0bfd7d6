import { readFileSync } from 'node:fs'
import { isSystemError, tried } from './attempt.ts'

/**
 * A process, told from others that have its number later or after another start of the machine.
 * What can't be known is null.
 */
export interface Holder {
  pid: number
  /** Field 22 of /proc/PID/stat. */
  start: string | null
  boot: string | null
}

/** The process that this runs in. */
export function thisProcess(): Holder {
  return { pid: process.pid, start: startOf(process.pid), boot: bootId() }
}

/** Whether the process still runs. When that can't be told, it counts as running. */
export function isAlive({ pid, start, boot }: Holder): boolean {
  const now = bootId()
  if (boot !== null && now !== null && boot !== now) return false
  const started = startOf(pid)
  if (started !== null) return start === null || start === started
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return isSystemError(error) && error.code === 'EPERM'
  }
}

/**
 * How a process that is a vfio-patch was called, in one line without control characters; null for any
 * other process, whose words are nobody's concern, and where it can't be read.
 */
export function commandOf(pid: number): string | null {
  const words = textOf(`/proc/${pid}/cmdline`).split('\0')
  const start = words.findIndex(it => /(^|\/)vfio-patch(\.js)?$/.test(it))
  if (start === -1) return null
  const line = ['vfio-patch', ...words.slice(start + 1)].join(' ').trim()
  return line.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?').slice(0, MOST_CHARACTERS)
}

const MOST_CHARACTERS = 200

function startOf(pid: number): string | null {
  const stat = textOf(`/proc/${pid}/stat`)
  // The name in field 2 may hold spaces and brackets.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
}

function bootId(): string | null {
  return textOf('/proc/sys/kernel/random/boot_id').trim() || null
}

function textOf(path: string): string {
  let text = ''
  tried(() => {
    text = readFileSync(path).toString()
  })
  return text
}
