// The memory that a loop without await uses, measured as the peak of a separate process.
import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'

const toolkit = new URL('../../dist/nix/index.js', import.meta.url).href

/** The peak in MB of a process that reads `count` documents of `kilobytes`, and edits them if requested. */
function peakOf(count: number, kilobytes: number, edits: boolean): number {
  const script = `
    import { parseDocument } from ${JSON.stringify(toolkit)}
    const one = i => \`  services.service\${i} = { enable = true; flags = [ "--a" "--b" ]; };\\n\`
    const body = Array.from({ length: ${kilobytes * 16} }, (_, i) => one(i)).join('')
    for (let i = 0; i < ${count}; i++) {
      const doc = parseDocument('{ ... }:\\n{\\n' + body + '}\\n# ' + i)
      if (doc.getIn('services.service1.enable').length !== 1) throw new Error('not found')
      if (${edits} && !doc.edit().setIn('services.service1.enable', false).plan().ok) throw new Error('no plan')
    }
    console.log(process.resourceUsage().maxRSS / 1024)
  `
  const args = ['--input-type=module', '-e', script]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(status).toBe(0)
  return Number(stdout)
}

it('memory is bounded for many small documents and for some large ones', {
  timeout: 120_000
}, () => {
  expect(peakOf(1500, 12, true)).toBeLessThan(500)
  expect(peakOf(24, 1000, false)).toBeLessThan(500)
})
