// The mount list of Linux.

/** One line of /proc/self/mountinfo: the folder `root` of a file system is mounted on `point`. */
export interface Mount {
  /** Major and minor number of the device: `259:2`. */
  device: string
  root: string
  point: string
  /** The type of the file system. */
  type: string
  /** The mount source, specific to the file system: mostly a path below `/dev`. */
  source: string
}

/** Parses /proc/self/mountinfo, in its order. Skips malformed lines. */
export function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap(line => {
    const [before = '', after = ''] = line.split(' - ')
    const [, , device, root, point] = before.split(' ')
    const [type = '', source = ''] = after.split(' ')
    if (device === undefined || root === undefined || point === undefined) return []
    return [{ device, root: unescapeOctal(root), point: unescapeOctal(point), type, source }]
  })
}

/** Decodes octal escapes such as `\040`, which the kernel writes for whitespace and backslashes. */
export function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits) =>
    String.fromCharCode(Number.parseInt(digits, 8))
  )
}
