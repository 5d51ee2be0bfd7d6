const MB = 1024 * 1024

/** Texts that are meant to exhaust a reader, with the expected outcome. */
export function hostileXml() {
  const domain = inner => `<domain type='kvm'><name>x</name>${inner}</domain>`
  const disk = "<disk type='file' device='disk'><source file='/a'/><target dev='vda'/></disk>"
  const entities = Array.from(
    { length: 9 },
    (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`
  ).join('')
  const all = {
    '50 MB of disks': [
      domain(`<devices>${disk.repeat((50 * MB) / disk.length)}</devices>`),
      'TOO_BIG'
    ],
    '50 MB of one text': [domain(`<title>${'x'.repeat(50 * MB)}</title>`), 'TOO_BIG'],
    'a billion laughs': [
      `<!DOCTYPE domain [<!ENTITY l0 "lol">${entities}]><domain><name>&l9;</name></domain>`,
      'DOCTYPE'
    ],
    'a long entity, 2,000 times': [
      `<!DOCTYPE d [<!ENTITY a "${'x'.repeat(9000)}">]><domain>${'&a;'.repeat(2000)}</domain>`,
      'DOCTYPE'
    ],
    'a file as an entity': [
      '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/shadow">]><domain><name>&a;</name></domain>',
      'DOCTYPE'
    ],
    '100,000 levels': [domain(`${'<a>'.repeat(100_000)}${'</a>'.repeat(100_000)}`), 'NOT_XML'],
    '250 levels': [domain(`${'<a>'.repeat(250)}${'</a>'.repeat(250)}`), 'converted'],
    '4 MB of "<"': ['<'.repeat(4 * MB), 'NOT_XML'],
    '4 MB of "<a "': ['<a '.repeat(MB), 'NOT_XML'],
    '4 MB of "<a>" without ends': [domain('<a>'.repeat(MB)), 'NOT_XML'],
    '4 MB of open comments': [domain('<!--'.repeat(MB - 100)), 'NOT_XML'],
    '4 MB of "&"': [domain('&'.repeat(4 * MB - 100)), 'NOT_XML'],
    '4 MB of "&amp;"': [domain(`<title>${'&amp;'.repeat(800_000)}</title>`), 'converted'],
    '4 MB of "]]"': [domain(`<title>${']]'.repeat(2 * MB - 100)}</title>`), 'converted'],
    '100,000 attributes': [
      `<domain ${Array.from({ length: 100_000 }, (_, i) => `a${i}='1'`).join(' ')}/>`,
      'converted'
    ],
    '1 MB of disks': [domain(`<devices>${disk.repeat(MB / disk.length)}</devices>`), 'converted'],
    '50,000 kinds of elements': [
      domain(Array.from({ length: 50_000 }, (_, i) => `<e${i}/>`).join('')),
      'converted'
    ]
  }
  return Object.entries(all).map(([name, [text = '', code]]) => ({
    name,
    bytes: Buffer.from(text),
    code
  }))
}
