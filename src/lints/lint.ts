import { lintBindings } from './bindings.ts'
import { lintBoot } from './boot.ts'
import { type Facts, type LintFile, type View, viewsOf } from './configuration.ts'
import { lintDarkPassphrase } from './darkPassphrase.ts'
import { lintDeclarations } from './declarations.ts'
import type { Finding } from './finding.ts'
import { lintHooks } from './hooks.ts'
import { lintImages } from './images.ts'
import { lintKernelParams } from './kernelParams.ts'
import { lintLibvirt } from './libvirt.ts'
import { lintNvidia } from './nvidia.ts'
import { withParts } from './parts.ts'
import { lintTexts } from './texts.ts'

const LINTS: readonly ((view: View) => Finding[])[] = [
  lintKernelParams,
  lintBindings,
  lintBoot,
  lintDarkPassphrase,
  lintLibvirt,
  lintHooks,
  lintImages,
  lintNvidia,
  lintTexts,
  lintDeclarations
]

/**
 * What in the files of one configuration, those that it imports included, does not do what it is
 * there for: by file in the given order, then by place. Files that are no module have only their
 * strings looked at. Our own modules are not among the files; `facts` says that they are imported.
 */
export function lint(files: readonly LintFile[], facts: Facts): Finding[] {
  const found = new Map<string, Finding>()
  const all = files.flatMap(withParts)
  const parts = new Set(all.filter(it => it.isPart).map(it => it.path))
  for (const view of viewsOf(all, facts)) {
    for (const it of LINTS.flatMap(rule => rule(view))) {
      const key = `${it.code} ${it.path} ${it.range.start}`
      // What holds for the system holds for its specialisations, too.
      if (!found.has(key)) found.set(key, parts.has(it.path) ? withoutFix(it) : it)
    }
  }
  const order = new Map(files.map((it, i) => [it.path, i]))
  return [...found.values()].sort(
    (a, b) => (order.get(a.path) ?? 0) - (order.get(b.path) ?? 0) || a.range.start - b.range.start
  )
}

/** Options inside a module that is a value are no options of the file. */
function withoutFix({ fix: _, ...finding }: Finding): Finding {
  return finding
}
