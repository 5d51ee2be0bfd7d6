import type { Needs } from '../libvirt/learn/learn.ts'
import type { Hugepages } from '../vfio/settings.ts'
import { type GuestHost, placesOf, sourcesAt } from './guestHost.ts'

/** What a person has to know of the huge pages of a guest. */
export type PagesNote =
  /** Several sizes, or one that x86 does not have, in KiB. */
  | { code: 'PAGES_UNUSABLE'; sizes: readonly (number | undefined)[] }
  /** The processor has no pages of 1 GiB. */
  | { code: 'PAGES_1G_MISSING' }
  /** Together they would leave the host too little; sizes in KiB. */
  | { code: 'PAGES_OVER'; pages: Hugepages; total: number }
  /** The configuration sets others aside, or does it without our options. */
  | { code: 'PAGES_OTHER'; pages: Hugepages }

// What a host with a desktop needs for itself, in KiB.
const FOR_HOST = 4 * 1024 * 1024

const SIZES = { 2048: '2M', 1048576: '1G' } as const
const HUGEPAGES = ['virtualisation', 'hugepages']

/**
 * The huge pages that have to be set aside for a guest; none where the configuration has enough, and a
 * note in their place where that is left to the person.
 */
export function hugepagesFor(
  { pageSizes, memory }: Needs,
  host: GuestHost
): { pages?: Hugepages; note?: PagesNote } {
  if (pageSizes.length === 0 || memory === undefined) return {}
  const present = presentPages(host)
  const [wanted] = pageSizes
  const sizeKiB = wanted ?? (present?.pageSize === '1G' ? 1048576 : 2048)
  const pageSize = SIZES[sizeKiB as keyof typeof SIZES]
  if (pageSizes.length > 1 || pageSize === undefined) {
    return { note: { code: 'PAGES_UNUSABLE', sizes: pageSizes } }
  }
  const pages: Hugepages = { pageSize, numPages: Math.ceil(memory / sizeKiB) }
  if (present) {
    const { numPages } = present
    if (present.pageSize !== pageSize || numPages === undefined) {
      return { note: { code: 'PAGES_OTHER', pages } }
    }
    if (numPages >= pages.numPages) return {}
  }
  const { machine } = host
  if (pageSize === '1G' && machine?.cpu.hasHugePages1G === false) {
    return { note: { code: 'PAGES_1G_MISSING' } }
  }
  const total = machine?.memory.total
  return total !== undefined && pages.numPages * sizeKiB > total - FOR_HOST
    ? { note: { code: 'PAGES_OVER', pages, total } }
    : { pages }
}

interface Present {
  pageSize: string | undefined
  numPages: number | undefined
}

/** The pages that the configuration sets aside; what can't be read of them is undefined. */
function presentPages({ configuration, prefix }: GuestHost): Present | undefined {
  const places = placesOf(prefix)
  const source = (...path: string[]) => sourcesAt(configuration, prefix, path)[0]
  const parameters = places
    .flatMap(it => configuration.itemsIn([...it, 'boot', 'kernelParams']))
    .filter(it => typeof it === 'string')
  const isOwn =
    parameters.some(it => /(?:^|\s)hugepages=/.test(it)) ||
    source('boot', 'kernel', 'sysctl', 'vm.nr_hugepages') !== undefined
  if (isOwn) return { pageSize: undefined, numPages: undefined }
  const isSaid = places
    .map(it => [...it, ...HUGEPAGES])
    .some(it => configuration.getIn(it).length + configuration.getBelow(it).length > 0)
  if (!isSaid) return undefined
  const size = source(...HUGEPAGES, 'pageSize') ?? source(...HUGEPAGES, 'defaultPageSize') ?? '"2M"'
  const count = source(...HUGEPAGES, 'numPages')
  const pageSize = /^"(\w+)"$/.exec(size)?.[1]
  const numPages = /^\d+$/.exec(count ?? '')?.[0]
  return { pageSize, numPages: numPages === undefined ? undefined : Number(numPages) }
}
