// Kernel parameters whose value is a comma-separated list.

import { describe, expect, it } from 'vitest'
import { isBoundByID } from '../../src/check/requirements.ts'
import { planFixes } from '../../src/lints/index.ts'
import { effectiveParamValue, intelIommuState, paramValues } from '../../src/lints/kernelParams.ts'
import { filesOf, inShort, lintFiles } from './support.ts'

const params = (...all: string[]) =>
  `{ boot.kernelParams = [ ${all.map(it => `"${it}"`).join(' ')} ]; }\n`
const found = (text: string) => inShort(text, lintFiles(text))

/** The text after its fixes. */
function fixed(text: string): string | undefined {
  const [file] = filesOf(text)
  const fixes = lintFiles(text).flatMap(it => (it.fix ? [it.fix] : []))
  const plan = file && planFixes(file.doc, fixes)
  return plan?.ok ? plan.value.plan.text : undefined
}

describe('values in the list of a parameter', () => {
  it('splits values at commas, only in the parameter of this name', () => {
    expect(paramValues('intel_iommu=on,sm_on', 'intel_iommu')).toEqual(['on', 'sm_on'])
    expect(paramValues('intel-iommu=on', 'intel_iommu')).toEqual(['on'])
    expect(paramValues('intel_iommu="on,sm_on"', 'intel_iommu')).toEqual(['on', 'sm_on'])
    expect(paramValues('iommu=pt', 'intel_iommu')).toEqual([])
    expect(paramValues('intel_iommu', 'intel_iommu')).toEqual([])
  })

  it('lets a value override earlier contradictory values', () => {
    expect(effectiveParamValue(['iommu=pt,force', 'iommu=nopt'], 'iommu', ['pt', 'nopt'])).toBe(
      'nopt'
    )
    expect(intelIommuState(['intel_iommu=off', 'quiet', 'intel_iommu=sm_on,on'])).toBe('on')
    expect(intelIommuState(['intel_iommu=on,off', 'iommu=on'])).toBe('off')
    expect(intelIommuState(['intel_iommu=sm_on', 'iommu=on'])).toBeUndefined()
  })
})

describe('amd_iommu=', () => {
  it.each([
    ['amd_iommu=pt', ['iommu=pt']],
    ['amd_iommu=fullflush,pt', ['amd_iommu=fullflush', 'iommu=pt']],
    ['amd_iommu=pt,on', ['iommu=pt']]
  ])('%s becomes %j', (param, replacement) => {
    expect(found(params('quiet', param))).toEqual([`AMD_IOMMU_PT: "${param}"`])
    expect(fixed(params('quiet', param))).toBe(params('quiet', ...replacement))
  })

  it('reports amd_iommu=on next to other values', () => {
    expect(found(params('amd_iommu=on,fullflush'))).toEqual([
      'AMD_IOMMU_ON (note): "amd_iommu=on,fullflush"'
    ])
    expect(found(params('amd_iommu=fullflush'))).toEqual([])
  })
})

describe('pci=', () => {
  it.each([
    ['pci=nomsi', []],
    ['pci=noaer,nomsi', ['pci=noaer']],
    ['pci=nomsi,noaer,nommconf', ['pci=noaer,nommconf']]
  ])('%s becomes %j', (param, replacement) => {
    expect(found(params('quiet', param))).toEqual([`PCI_NOMSI: "${param}"`])
    expect(fixed(params('quiet', param))).toBe(params('quiet', ...replacement))
  })

  it('allows other values of pci=', () => {
    expect(found(params('pci=noaer', 'pci=nomsix'))).toEqual([])
  })
})

describe('video=', () => {
  it.each(['video=efifb:off', 'video=vesafb:off,efifb:off', 'video=simplefb:off'])(
    '%s is removed as a whole',
    param => {
      expect(found(params('quiet', param))).toEqual([`EFIFB_OFF: "${param}"`])
      expect(fixed(params('quiet', param))).toBe(params('quiet'))
    }
  )

  it('keeps a parameter with the mode of a screen', () => {
    const param = 'video=HDMI-A-1:1920x1080@60,efifb:off'
    expect(found(params('quiet', param))).toEqual([])
    expect(fixed(params('quiet', param))).toBe(params('quiet', param))
  })
})

describe('vfio-pci.ids=', () => {
  it('reads a quoted list of IDs', () => {
    const text = params('vfio-pci.ids=\\"10de:1b80,10de:10f0\\"')
    expect(found(text)).toEqual([])
    const wrong = params('vfio-pci.ids=\\"10de:1b80,10de\\"')
    expect(found(wrong)).toEqual(['BAD_ID: 10de'])
  })

  it('matches only whole IDs of the list', () => {
    const given = ['vfio-pci.ids=10de:1b80,1002:73bf:10de:10f0']
    expect(isBoundByID(given, '10de:1b80')).toBe(true)
    expect(isBoundByID(given, '1002:73bf')).toBe(true)
    expect(isBoundByID(given, '10de:10f0')).toBe(false)
    expect(isBoundByID(['vfio_pci.ids="10DE:1B80"'], '10de:1b80')).toBe(true)
  })
})
