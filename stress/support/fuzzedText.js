// Strings for testing the parser. A seed always produces the same string.
import { randomFrom } from './seeds.js'

const PIECES =
  `{ } [ ] ( ) = ; : , . .. ... @ ? ! ? + ++ - -> * / // < > <= >= == != && || |> <| " '' \${ \\ $ #
  /* */ a b1 x-y' _ or rec let in inherit with assert if then else import imports config true null
  1 -2 1.5 .5 1e9 ./a ../b /c ~/d <nixpkgs> <a/b> http://a.b/c "s" ''t'' "\${x}" ''\${x}'' ''$ ''\\n '''
  a.b {} [] {}: a: a@{} {}@a: {a}: {a,}: {a?1,...}:`
    .split(/\s+/)
    .concat([
      ' ',
      '  ',
      '\n',
      '\n\n',
      '\r\n',
      '\r',
      '\t',
      '# x\n',
      '/* x */',
      '\0',
      '\ufeff',
      'ä',
      '🎉'
    ])
    .concat(['\ud800', '\u2028', '\u00a0'])

const MODULES = [
  '{ config, lib, pkgs, ... }:\n{\n  imports = [ ./a.nix ];\n  boot.kernelParams = [ "quiet" ]; # x\n}\n',
  '{ lib, ... }: {\n  config = lib.mkIf true {\n    a.b = 1;\n    c = with d; [ e (f g) ];\n  };\n}\n',
  "let x = ''\n  a ${b}\n    c ''$ '''\n''; in { inherit x; ${x} = rec { y = x; }; \"q r\".s = ./t; }\n",
  '{ a, b ? 1, ... }@args: assert a; if b then { c = a // { d = -1; }; } else [ a.b or c (x: x) ]\n',
  '{\r\n  /* a */ b = 1;\r\n  c = {\r\n    d = "e\\"${f "g"}";\r\n  };\r\n}\r\n',
  '[ 1 2.5 true null "x" ./y <z> (a: b) { } ] |> f |> g\n'
]

/** The string for a seed, an integer. Most strings have fewer than 200 characters, a few have thousands. */
export function fuzzedText(seed) {
  const random = randomFrom(seed)
  const count = max => Math.floor(random() * (max + 1))
  const pick = all => all[count(all.length - 1)]
  const soup = (length, glue) => Array.from({ length }, () => pick(PIECES)).join(glue)
  const size = () => (random() < 0.01 ? count(2000) : count(random() < 0.1 ? 150 : 30))
  switch (count(6)) {
    case 0:
      return soup(size(), '')
    case 1:
      return soup(size(), ' ')
    case 2:
      return Array.from({ length: size() }, () =>
        String.fromCharCode(count(random() < 0.9 ? 127 : 0xffff))
      ).join('')
    case 3: {
      const [open, close] = pick([
        ['[', ']'],
        ['{a=', ';}'],
        ['(', ')'],
        ['"${', '}"'],
        ["''${", "}''"],
        ['x:', ''],
        ['if a then b else ', '']
      ])
      const depth = size()
      return (
        open.repeat(depth) +
        soup(count(3), ' ') +
        close.repeat(random() < 0.7 ? depth : count(depth))
      )
    }
    default: {
      let text = pick(MODULES)
      for (let more = 1 + count(1); more > 0; more--) {
        const at = count(text.length)
        const end = at + pick([0, 0, 1, 1, 5, 50])
        const piece = pick([
          '',
          pick(PIECES),
          soup(3, ''),
          text.slice(count(at), at),
          pick(MODULES)
        ])
        text = text.slice(0, at) + piece + text.slice(end)
      }
      return text
    }
  }
}
