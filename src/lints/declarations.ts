import { formatPath, type SyntaxNode } from '../nix/index.ts'
import { type Finding, findingAt } from './finding.ts'
import { moduleReplaceable, optionDeclaredTwice } from './messages/modules.ts'
import type { BootEntryView, LintFile } from './view.ts'

/** A declaration that only extends the submodule of an option, which several modules may do. */
const EXTENDS_SUBMODULE = /^(?:lib\.)?mkOption\s*\{\s*type\s*=[^;{]*\bsubmodule\b[^;{]*;\s*\}$/

/** The options of vfio-patch's modules that a file declares, with the values of their declarations. */
export function declarationsIn({ doc }: LintFile): { option: string; value: SyntaxNode }[] {
  return doc.leaves().flatMap(({ path, value }) => {
    const names = path.slice(1)
    const isDeclaration = path[0] === 'options' && names[0] === 'virtualisation'
    const isKnown = /^(?:vfio|kvmfr|hugepages|sharedMemoryFiles)$/.test(names[1] ?? '')
    if (!isDeclaration || !isKnown || names.includes(undefined)) return []
    if (EXTENDS_SUBMODULE.test(value.text)) return []
    return [{ option: formatPath(names.filter(name => name !== undefined)), value }]
  })
}

/** Options that two modules declare, and modules that vfio-patch's modules can replace. */
export function lintDeclarations({ files, facts }: BootEntryView): Finding[] {
  const owners = new Map<string, LintFile>()
  const findings: Finding[] = []
  for (const [i, file] of files.entries()) {
    const declared = declarationsIn(file)
    const placeOf = ({ start, end }: SyntaxNode) => ({ path: file.path, range: { start, end } })
    const [first] = declared
    if (first && i > 0 && !facts.importsModules) {
      findings.push(findingAt(placeOf(first.value), moduleReplaceable(first.option)))
    }
    for (const { option, value } of declared) {
      const owner = owners.get(option)
      if (owner === undefined) owners.set(option, file)
      else if (
        owner.path !== file.path &&
        !findings.some(it => it.path === file.path && it.code === 'DECLARED_TWICE')
      ) {
        findings.push(findingAt(placeOf(value), optionDeclaredTwice(option, owner.path)))
      }
    }
  }
  return findings
}
