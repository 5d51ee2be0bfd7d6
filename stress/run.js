// npm run stress -- NAME [ARGS]
//
// Runs stress/NAME.js. Without NAME, prints the table of names that is also in CONTRIBUTING.md.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FOLDERS = { usage: 'FOLDER...', accepts: existsSync, isNeeded: true }
const isNumber = it => /^\d+$/.test(it)
const withOptions = options => ({
  usage: `${Object.entries(options)
    .map(([name, value]) => `[--${name} ${value}]`)
    .join(' ')} ${FOLDERS.usage}`,
  accepts: (it, i, all) =>
    it.slice(2) in options
      ? isNumber(all[i + 1])
      : existsSync(it) || (isNumber(it) && all[i - 1]?.slice(2) in options),
  isNeeded: true
})
const NUMBERS = { usage: '[COUNT [SEED]]', accepts: isNumber }
const ANYTHING = { usage: '[ARG...]', accepts: () => true }
const NOTHING = { usage: '', accepts: () => false }
const WRITING = ['apply', 'undo', 'remove']
const words = (...all) => ({
  usage: all.map(it => `[${it}]`).join(' '),
  accepts: it => all.includes(it)
})

const COMMANDS = [
  {
    name: 'corpus',
    args: FOLDERS,
    purpose: 'plans the main job for each `.nix` file: accepted by Nix, idempotent, invertible',
    duration: '10 s per 1,000 files',
    needs: 'Nix'
  },
  {
    name: 'operations',
    args: FOLDERS,
    purpose: 'six edits of each `.nix` file, and how many definitions can be edited in place',
    duration: '1 min per 1,000 files',
    needs: 'Nix'
  },
  {
    name: 'definitions',
    args: FOLDERS,
    purpose: 'ten kinds of edits of up to 20 definitions of each `.nix` file',
    duration: '30 s per 1,000 files',
    needs: 'Nix'
  },
  {
    name: 'removals',
    args: FOLDERS,
    purpose: '`apply` on a copy of each `.nix` file, then `undo` and `remove`',
    duration: '4 min per 1,000 files',
    needs: 'Nix'
  },
  {
    name: 'evaluate',
    args: FOLDERS,
    purpose: 'edits modules and evaluates them: only the edited option has another value',
    duration: '2 min per 1,000 files',
    needs: 'Nix, `NIXPKGS_LIB`'
  },
  {
    name: 'formatted',
    args: withOptions({ sample: 'K', show: 'N' }),
    purpose: 'ten edits of each formatted `.nix` file: the formatter changes nothing afterwards',
    duration: '4 min per 1,000 files',
    needs: 'nixfmt, alejandra, nixpkgs-fmt'
  },
  {
    name: 'packages',
    args: FOLDERS,
    purpose: 'a new revision and hash for each call of a fetcher: no other byte changes',
    duration: '10 s per 1,000 files',
    needs: 'Nix'
  },
  {
    name: 'flakes',
    args: FOLDERS,
    purpose: 'a new input for each flake: its `outputs` take the input',
    duration: '10 s per 100 flakes',
    needs: 'Nix'
  },
  {
    name: 'toolkits',
    args: withOptions({ sample: 'K', show: 'N' }),
    purpose: 'the same edits with vfio-patch, nix-editor, nix-manipulator and flake-edit',
    duration: '15 min per 1,000 files',
    needs: 'Nix, the toolkits'
  },
  {
    name: 'random',
    args: NOTHING,
    purpose: 'the tests in `test/properties` with 10,000 documents of 10 edits each',
    duration: '1 h',
    needs: 'Nix'
  },
  {
    name: 'fuzz',
    args: NUMBERS,
    purpose: 'parses 1,000,000 strings that are almost Nix: no crash, no hang, printed back',
    duration: '3 min',
    needs: ''
  },
  {
    name: 'domains',
    args: FOLDERS,
    purpose: 'converts each domain XML to Nix and back',
    duration: '1 min per 1,000 domains',
    needs: 'python3, Nix, xmllint, virsh'
  },
  {
    name: 'mutations',
    args: NUMBERS,
    purpose: 'converts 100,000 damaged domains: no crash, no hang, same reading as expat',
    duration: '4 min',
    needs: 'python3, xmllint'
  },
  {
    name: 'lints',
    args: FOLDERS,
    purpose: 'prints what `check` finds in real configurations, to look for false alarms',
    duration: '5 s per 1,000 files',
    needs: ''
  },
  {
    name: 'releases',
    args: ANYTHING,
    purpose: 'prints the result of the modules for typical machines on each NixOS release',
    duration: '5 s',
    needs: 'Nix, `NIXPKGS_LIB`'
  },
  {
    name: 'crashes',
    args: words('kills', 'errors', 'full', 'random', 'every', ...WRITING),
    purpose: 'kills, errors and full disks at every step of the commands that write',
    duration: '2 h',
    needs: 'root, strace'
  },
  {
    name: 'powercut',
    args: words(...WRITING),
    purpose: 'cuts the power at every step of the commands that write',
    duration: '10 min',
    needs: 'root, strace, a loop device'
  }
]

await main(process.argv[2], process.argv.slice(3))

async function main(name, args) {
  if (name === undefined) return console.log(table())
  const command = COMMANDS.find(it => it.name === name)
  if (command === undefined) return fail(await unknown(name))
  /** @type {{ accepts: (it: string, i: number, all: string[]) => boolean, isNeeded?: boolean }} */
  const { accepts, isNeeded } = command.args
  const wrong = args.find((it, i) => !accepts(it, i, args))
  const usage = `usage: npm run stress -- ${callOf(command)}`
  if (wrong !== undefined)
    return fail(
      isNeeded && !wrong.startsWith('-')
        ? `there is no ${wrong}`
        : `"${wrong}" is not expected\n${usage}`
    )
  if (isNeeded && !args.some(it => existsSync(it))) return fail(usage)
  const script = new URL(`${name}.js`, import.meta.url)
  // Some scripts start themselves again in another process with the same arguments.
  process.argv.splice(1, 2, fileURLToPath(script))
  await import(script.href)
}

function callOf({ name, args }) {
  return `${name} ${args.usage}`.trim()
}

async function unknown(name) {
  const { suggestionFor } = await import('../dist/cli/args/yargs.js')
  const names = COMMANDS.map(it => it.name)
  const near = suggestionFor(name, names)
  const hint = near === undefined ? `one of ${names.join(', ')}` : `did you mean "${near}"?`
  return `there is no stress run "${name}": ${hint}`
}

function fail(message) {
  console.error(message)
  process.exitCode = 2
}

/** The commands as a table in Markdown. */
function table() {
  const rows = COMMANDS.map(it => [`\`${callOf(it)}\``, it.purpose, it.duration, it.needs])
  const head = ['NAME and ARGS', 'purpose', 'duration', 'needs']
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map(it => it[i]?.length ?? 0)))
  const line = cells => `| ${cells.map((it, i) => it.padEnd(widths[i])).join(' | ')} |`
  return [line(head), line(widths.map(it => '-'.repeat(it))), ...rows.map(line)].join('\n')
}
