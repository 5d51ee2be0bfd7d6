import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'vitest'
import { areAvailable } from '../../support/needing.ts'

const hasLibvirt = areAvailable('guests', 'virsh', 'virt-xml-validate', 'xmllint')

/** A test that needs libvirt's tools. Without them it is skipped, with a warning. */
export const withLibvirt = hasLibvirt ? test : test.skip

/** The errors of a domain in libvirt's schema; empty if it is valid. */
export function invalidity(xml: string): string {
  return inFile(xml, file => {
    const { status, stderr } = spawnSync('virt-xml-validate', [file, 'domain'], {
      encoding: 'utf8'
    })
    return status === 0 ? '' : stderr.replaceAll(file, 'domain.xml')
  })
}

/** The domain as libvirt's test driver dumps it; undefined if the driver rejects it. */
export function defined(xml: string, name: string): string | undefined {
  return inFile(xml, file => {
    const commands = `define ${file}; dumpxml "${name}"`
    const args = ['-q', '-c', 'test:///default', commands]
    const { stdout } = spawnSync('virsh', args, { encoding: 'utf8', timeout: 20_000 })
    const start = stdout.indexOf('<domain')
    return start === -1 ? undefined : stdout.slice(start)
  })
}

function inFile<T>(xml: string, use: (file: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'vfio-patch-libvirt-'))
  try {
    const file = join(folder, 'domain.xml')
    writeFileSync(file, xml)
    return use(file)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
