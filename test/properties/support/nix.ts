// Results of real Nix for many modules at once.

import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { areAvailable } from '../../support/needing.ts'
import { inFiles } from '../../support/nix.ts'

export const hasNix = areAvailable('the properties of edits', 'nix-instantiate')

/** The values of a module's options by path, except options for which Nix throws. */
export type Meaning = Map<string, unknown>

/**
 * The options of each module as evaluated by `lib.evalModules`; undefined for a module that it rejects.
 * Options have no type: lists are joined, sets are merged, other definitions must be equal.
 */
export function meaningsOf(nixpkgsLib: string, texts: readonly string[]): (Meaning | undefined)[] {
  return inFiles(texts, (files, folder) => {
    mkdirSync(join(folder, 'zz dir'))
    for (const name of ['zz-a', 'zz-b', 'zz-c', 'zz dir/a']) {
      writeFileSync(join(folder, `${name}.nix`), `{ imported."${name}" = true; }`)
    }
    return evaluated(nixpkgsLib, files)
  })
}

function evaluated(nixpkgsLib: string, files: readonly string[]): (Meaning | undefined)[] {
  if (files.length === 0) return []
  const run = spawnSync(
    'nix-instantiate',
    ['--store', 'dummy://', '--eval', '--strict', '--json', '-'],
    {
      encoding: 'utf8',
      input: `map (${EVALUATE} (import ${nixPath(nixpkgsLib)})) [ ${files.map(nixPath).join(' ')} ]`,
      maxBuffer: 2 ** 30
    }
  )
  if (run.status === 0) return (JSON.parse(run.stdout) as unknown[]).map(flattened)
  if (files.length === 1) return [undefined]
  const half = Math.ceil(files.length / 2)
  return [files.slice(0, half), files.slice(half)].flatMap(it => evaluated(nixpkgsLib, it))
}

const EVALUATE = `(lib: file:
  let
    free = lib.mkOptionType {
      name = "free";
      check = _: true;
      merge = loc: defs:
        let values = map (it: it.value) defs;
        in
        if builtins.all builtins.isList values then builtins.concatLists values
        else if builtins.all builtins.isAttrs values then (lib.types.lazyAttrsOf free).merge loc defs
        else lib.options.mergeEqualOption loc defs;
    };
    describe = value:
      let tried = builtins.tryEval (builtins.typeOf value);
      in
      if !tried.success then { error = true; }
      else if tried.value == "set" then { set = builtins.mapAttrs (_: describe) value; }
      else if tried.value == "list" then { list = map describe value; }
      else if tried.value == "path" then { leaf = "path " + baseNameOf value; }
      else if tried.value == "lambda" then { leaf = "(function)"; }
      else { leaf = value; };
    config = (lib.evalModules {
      modules = [ file { freeformType = lib.types.lazyAttrsOf free; } ];
      specialArgs = { pkgs = { }; inputs = { }; };
    }).config;
  in
  describe (builtins.removeAttrs config [ "_module" "mine" ]))`

interface Described {
  error?: true
  leaf?: unknown
  list?: Described[]
  set?: Record<string, Described>
}

function flattened(described: unknown): Meaning {
  const meaning: Meaning = new Map()
  const walk = (path: string[], it: Described) => {
    if (it.set) {
      for (const [name, inner] of Object.entries(it.set)) walk([...path, name], inner)
    } else if (!it.error) meaning.set(JSON.stringify(path), plain(it))
  }
  walk([], described as Described)
  return meaning
}

function plain(it: Described): unknown {
  if (it.list) return it.list.map(plain)
  if (it.set) return Object.fromEntries(Object.entries(it.set).map(([k, v]) => [k, plain(v)]))
  return it.leaf
}

const nixPath = (file: string) => `(/. + ${JSON.stringify(file)})`
