// docs/exit-codes.md, made from the table of error codes: vitest run test/docs/exitCodes.test.ts -u

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { EXIT, EXIT_OF_ERROR } from '../../src/cli/exitCodes.ts'

const MEANINGS: Record<keyof typeof EXIT, string> = {
  done: 'The command did its work, or there is nothing to do.',
  differences:
    'A change was not written, `check` found problems, or `option get` found no definition.',
  usage: 'The arguments are wrong or incomplete.',
  refused: 'The file, the configuration or the guest cannot be edited or converted safely.',
  io: 'A file cannot be read or written.',
  stale: 'A file changed meanwhile, or another run blocks this one.',
  invalid: 'The result failed a check.',
  hardware:
    'A guest would get a device that the host needs, or that this machine cannot pass through.',
  followUp:
    'The change was written, but something went wrong afterwards. Every warning has this exit code, whatever its error code.',
  bug: 'A bug in vfio-patch.',
  cancelled: 'Cancelled with Ctrl+C.',
  terminated: 'Stopped by the signal TERM.'
}

function codesOf(exit: string): string {
  const codes = Object.entries(EXIT_OF_ERROR).filter(([, it]) => it === exit)
  return codes.map(([code]) => `\`${code}\``).join(', ')
}

const ROWS = Object.entries(EXIT).map(([name, code]) =>
  ['', code, MEANINGS[name as keyof typeof EXIT], codesOf(name), ''].join(' | ').trim()
)

const PAGE = `# Exit codes

The exit code of a command follows from its error code: the field \`code\` of an error in [\`--json\`](json.md).

| exit code | meaning | error codes |
| --- | --- | --- |
${ROWS.join('\n')}

Errors and questions go to standard error. Standard output has what another program may read: a patch, a module, a
domain, a table, or the document of \`--json\`. If it can't be written, the exit code is 4, or 8 if the change was
made. Output that the reader closes early (\`| head -1\`) is not an error.
`

it('docs/exit-codes.md matches the table of error codes', async () => {
  await expect(PAGE).toMatchFileSnapshot(
    fileURLToPath(new URL('../../docs/exit-codes.md', import.meta.url))
  )
})

it('docs/json.md has the exit code of each outcome', () => {
  const page = readFileSync(new URL('../../docs/json.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| `[a-z`, -]+ \| ([\d, ]+)/gm)].map(it => it[1] ?? '')
  const named = rows.flatMap(it => it.split(',').map(Number))
  expect([...new Set(named)].sort((a, b) => a - b)).toEqual(Object.values(EXIT))
})
