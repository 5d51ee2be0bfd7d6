/**
 * The user ids that belong to group `gid`, as their first group or as members, by the texts of
 * /etc/passwd and /etc/group. Null when the group is not listed, so that nothing is known about it.
 */
export function membersOf(gid: number, passwd: string, group: string): Set<number> | null {
  const listed = records(group).find(([, , id]) => Number(id) === gid)
  if (listed === undefined) return null
  const names = new Set((listed[3] ?? '').split(','))
  const users = records(passwd).filter(
    ([name = '', , , first]) => names.has(name) || Number(first) === gid
  )
  return new Set(users.map(([, , uid]) => Number(uid)))
}

/** The user id of an account by its name; null when /etc/passwd doesn't list it. */
export function uidOf(name: string, passwd: string): number | null {
  const listed = records(passwd).find(([each]) => each === name)
  return listed === undefined ? null : Number(listed[2])
}

/** The name and the home of an account by its user id; null when /etc/passwd doesn't list it. */
export function accountOf(uid: number, passwd: string): { name: string; home: string } | null {
  const listed = records(passwd).find(([, , id]) => Number(id) === uid)
  const [name = '', , , , , home = ''] = listed ?? []
  return name !== '' && home.startsWith('/') ? { name, home } : null
}

function records(text: string): string[][] {
  return text
    .split('\n')
    .filter(line => line.split(':').length >= 4)
    .map(line => line.split(':'))
}
