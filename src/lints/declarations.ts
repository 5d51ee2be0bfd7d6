import { formatPath, type SyntaxNode } from '../nix/index.ts'
import type { Finding } from './finding.ts'
import type { LintFile, View } from './view.ts'

/** A declaration that only adds options to those of each member of a set, as a second one may. */
const MORE_OF_SET = /^(?:lib\.)?mkOption\s*\{\s*type\s*=[^;{]*\bsubmodule\b[^;{]*;\s*\}$/

/** The options of ours that a file declares, and where. */
export function declarationsIn({ doc }: LintFile): { option: string; value: SyntaxNode }[] {
  return doc.leaves().flatMap(it => {
    const names = it.path.slice(1)
    const isOurs = /^(?:vfio|kvmfr|hugepages|sharedMemoryFiles)$/.test(names[1] ?? '')
    const isDeclared = it.path[0] === 'options' && names[0] === 'virtualisation'
    const source = it.value.text
    if (!isDeclared || !isOurs || names.includes(undefined) || MORE_OF_SET.test(source)) return []
    return [{ option: formatPath(names.filter(name => name !== undefined)), value: it.value }]
  })
}

/** Options that two modules declare, and modules that ours can take the place of. */
export function lintDeclarations({ files, facts }: View): Finding[] {
  const owners = new Map<string, LintFile>()
  const findings: Finding[] = []
  for (const [i, file] of files.entries()) {
    const declared = declarationsIn(file)
    const [first] = declared
    if (first && i > 0 && !facts.ours) {
      findings.push({
        code: 'OLD_MODULE',
        level: 'note',
        path: file.path,
        range: { start: first.value.start, end: first.value.end },
        message: `this module declares ${first.option}, and so do those of vfio-patch`,
        why: 'modules that went round among people who pass cards through do things that have no effect today, or break the build.',
        remedy:
          'vfio-patch diff shows whether its own modules can take their place; vfio-patch apply does it'
      })
    }
    for (const { option, value } of declared) {
      const other = owners.get(option)
      if (other === undefined) owners.set(option, file)
      else if (
        other.path !== file.path &&
        !findings.some(it => it.path === file.path && it.code === 'DECLARED_TWICE')
      ) {
        findings.push({
          code: 'DECLARED_TWICE',
          level: 'problem',
          path: file.path,
          range: { start: value.start, end: value.end },
          message: `${option} is declared in ${other.path} too`,
          why: 'an option that two modules declare is an error, even where both are switched off.',
          remedy: 'take one of the two modules out of imports'
        })
      }
    }
  }
  return findings
}
