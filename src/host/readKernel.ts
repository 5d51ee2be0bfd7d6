// What the running kernel says of itself.

import type { KernelLog } from './machine.ts'
import type { Source } from './source.ts'

/** The names of the modules that are loaded, with underscores; undefined if nobody says. */
export function readLoadedModules(source: Source): string[] | undefined {
  const text = source.text('/proc/modules')
  return text === undefined
    ? undefined
    : text
        .split('\n')
        .map(it => it.split(' ')[0] ?? '')
        .filter(it => it !== '')
}

/** What of the log since the start of the machine bears on this; undefined for who may not read it. */
export function readKernelLog(source: Source): KernelLog | undefined {
  const text = source.text('/dev/kmsg')
  if (text === undefined) return undefined
  return { isWhole: /\bLinux version \d/.test(text), splitsGroups: ACS.test(text) }
}

/** What a kernel with the patch says as it splits up groups. */
const ACS = /PCIe ACS overrides enabled/

/** The addresses of the devices on whose memory the kernel draws with what the firmware set up. */
export function readFramebuffers(source: Source): Set<string> {
  return framebuffersIn(source.text('/proc/iomem') ?? '')
}

/** The same from the text of `/proc/iomem`. A user sees no numbers in it, but names and their nesting. */
export function framebuffersIn(text: string): Set<string> {
  const found = new Set<string>()
  const above: { indent: number; name: string }[] = []
  for (const line of text.split('\n')) {
    const [, blanks, name = ''] = /^( *)[0-9a-f]+-[0-9a-f]+ : (.+)$/.exec(line) ?? []
    if (blanks === undefined) continue
    while ((above.at(-1)?.indent ?? -1) >= blanks.length) above.pop()
    const device = above.findLast(it => ADDRESS.test(it.name))?.name
    if (device !== undefined && FRAMEBUFFER.test(name)) found.add(device)
    above.push({ indent: blanks.length, name })
  }
  return found
}

const ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/

/** What the kernel calls the memory of the first screen, by who draws on it. */
const FRAMEBUFFER = /^(?:BOOTFB|efifb|vesafb|simplefb|simple-?drm|simple-framebuffer(?:\.\d+)?)$/
