// The main job: passing a card through, with everything that most guides set.
import { dirname, join } from 'node:path'
import { openFiles } from '../../dist/configuration/files.js'
import { loadConfiguration } from '../../dist/configuration/load.js'
import { shippedModules } from '../../dist/configuration/modules.js'
import { planApply } from '../../dist/plan/apply.js'

export const shipped = shippedModules('0.0.0')

/** The modules folder after the installation. */
export const installed = new Map(shipped.files.map(it => [it.path, it]))

export const SETTINGS = {
  devices: ['10de:1b80', '10de:10f0'],
  IOMMUType: 'amd',
  blacklistNvidia: true,
  ignoreMSRs: true,
  users: ['alice'],
  sharedMemoryFiles: [{ name: 'looking-glass' }, { name: 'scream' }],
  deviceACL: ['/dev/kvmfr0'],
  clearEmulationCapabilities: false
}

/** A configuration with this text whose imports can't be read. */
export function loneConfiguration(text, path = '/etc/nixos/configuration.nix') {
  const sources = { ...openFiles('/'), module: () => undefined, oversize: () => undefined }
  return loadConfiguration(openFiles('/').adopt(path, text), shipped, sources)
}

/** Plans the main job. `input` has the configuration, the listing of the modules folder, and other overrides. */
export function planMainJob(input) {
  return planApply({
    settings: SETTINGS,
    modulesDir: 'vfio',
    modulesFolder: join(dirname(input.configuration.target.path), 'vfio'),
    replaceModules: false,
    names: new Map([['10de:1b80', 'NVIDIA GP104 [GeForce GTX 1080]']]),
    ...input
  })
}

/** Whether a file is that of a host: it sets one of these options unconditionally. */
export function definesHost(doc) {
  return ['fileSystems', 'boot.loader', 'system.stateVersion'].some(path =>
    [...doc.getIn(path), ...doc.getBelow(path)].some(it => it.conditions.length === 0)
  )
}
