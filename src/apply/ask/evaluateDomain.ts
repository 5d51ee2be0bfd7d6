import { fileURLToPath } from 'node:url'
import { runNix } from './runNix.ts'

/** What came of asking Nix for the XML of a domain. */
export type Evaluated =
  | { status: 'ok'; xml: string }
  /** Nix says why not. */
  | { status: 'failed'; output: string }
  /** There is no Nix, or it does not answer. */
  | { status: 'missing'; detail: string }

/**
 * Has `nix-instantiate` compute the domain in a Nix file and render it as the modules do at build
 * time. `file` is the absolute path of the text, which is then read from there; without it, relative
 * paths lead from the current folder. Of the arguments of a module only `lib` is known, where there
 * is a `<nixpkgs>`. Nothing is built or written.
 */
export function evaluateDomain(domain: string, file: string | undefined): Evaluated {
  const renderer = fileURLToPath(new URL('../../../nixos/_lib/domain.nix', import.meta.url))
  const source = file === undefined ? `(\n${domain}\n)` : `import ${nixPath(file)}`
  const text = expression(source, nixPath(renderer))
  const run = runNix(['--eval', '--strict', '--json'], text, 30)
  switch (run.status) {
    case 'ok':
      return { status: 'ok', xml: JSON.parse(run.stdout) as string }
    case 'failed':
      return { status: 'failed', output: shortened(run.stderr) }
    case 'missing':
      return run
  }
}

function expression(source: string, renderer: string): string {
  return `let
  toXML = import ${renderer};
  file = ${source};
  lib = builtins.tryEval (import <nixpkgs/lib>);
  known = if lib.success then { lib = lib.value; } else { };
  argumentsOf = function: builtins.mapAttrs
    (name: _: known.\${name} or (throw "the file needs \`\${name}', which is there only in a whole NixOS"))
    (removeAttrs (builtins.functionArgs function) (builtins.filter
      (name: (builtins.functionArgs function).\${name} && !(known ? \${name}))
      (builtins.attrNames (builtins.functionArgs function))));
  module = if builtins.isFunction file then file (argumentsOf file) else file;
  guests = (module.config or module).virtualisation.vfio.guests or { };
  names = builtins.filter (name: guests.\${name} ? domain) (builtins.attrNames guests);
in
if builtins.length names > 1 then
  throw "the file defines several guests (\${builtins.concatStringsSep ", " names}); give each a file of its own"
else if names != [ ] then
  toXML guests.\${builtins.head names}.domain
else if module ? name && module ? type then
  toXML module
else
  throw "the file has no virtualisation.vfio.guests.NAME.domain"
`
}

function nixPath(path: string): string {
  return `(/. + ${JSON.stringify(path).replaceAll('${', '\\${')})`
}

/** What went wrong without the trace of our own expression. */
function shortened(output: string): string {
  const [first = ''] = output.trim().split(/\n\s*\n/)
  return first.replace(/^error: /, '').replace(/\n\(use '--show-trace'.*/s, '')
}
