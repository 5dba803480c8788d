/**
 * A page as Markdown that does nothing: no script, no form, no frame, no image that a reader's screen would load, no
 * link but to http and https. What a page shows nobody is left out.
 */
import TurndownService from 'turndown';

export type Page = { title: string; markdown: string };

const DROPPED: ReadonlySet<string> = new Set(
  `script style noscript template iframe frame object embed applet svg canvas math audio video map button input select
   textarea dialog head title base`.split(/\s+/),
);
const HIDDEN = /(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*hidden)/i;

/** What is used of an element of the parser's. */
type Element = {
  nodeName: string;
  textContent: string | null;
  children: { length: number };
  previousElementSibling: Element | null;
  closest(selector: string): Element | null;
  getAttribute(name: string): string | null;
  hasAttribute(name: string): boolean;
};

/** `url`: where the page came from. Throws RangeError where its elements are nested too deeply. */
export function pageOf(html: string, url: string): Page {
  const seen = { title: '', base: url };
  const service = new TurndownService({
    headingStyle: 'atx',
    codeBlockStyle: 'fenced',
    bulletListMarker: '-',
    emDelimiter: '_',
    hr: '---',
    blankReplacement: (_content: string, node: unknown) => (isBlock(node) ? '\n\n' : ''),
  });
  // What a page shows as text stays text, also where Markdown may hold HTML.
  const escape = service.escape.bind(service);
  service.escape = (text) => escape(text).replaceAll('<', String.raw`\<`);
  service.addRule('dropped', {
    filter: (node: Element) => DROPPED.has(node.nodeName.toLowerCase()) || isHidden(node),
    replacement: (_content: string, node: Element) => {
      if (node.nodeName === 'TITLE') seen.title ||= lineOf(node.textContent ?? '');
      if (node.nodeName === 'BASE' && seen.base === url)
        seen.base = linkOf(node.getAttribute('href'), url)?.href ?? url;
      return '';
    },
  });
  service.addRule('image', {
    filter: 'img',
    replacement: (_content: string, node: Element) => {
      const alt = lineOf(node.getAttribute('alt') ?? '');
      return alt === '' ? '' : `[image: ${service.escape(alt)}]`;
    },
  });
  service.addRule('link', {
    filter: (node: Element) => node.nodeName === 'A',
    replacement: (content: string, node: Element) => {
      const words = lineOf(content);
      const href = hrefOf(node.getAttribute('href'), seen.base);
      if (words === '' || href === null) return words;
      return `[${words}](${href})`;
    },
  });
  addTables(service);
  const markdown = service.turndown(html);
  return { title: seen.title, markdown };
}

function addTables(service: TurndownService): void {
  service.addRule('cell', {
    filter: ['td', 'th'],
    replacement: (content: string) => `| ${lineOf(content).replaceAll('|', String.raw`\|`)} `,
  });
  service.addRule('row', {
    filter: 'tr',
    replacement: (content: string, node: Element) => {
      const isFirst = node.previousElementSibling === null && !node.closest('tbody')?.previousElementSibling;
      const cells = node.children.length;
      const line = `${content.replaceAll('\n', ' ').trim()} |\n`;
      return isFirst ? `${line}${'| --- '.repeat(cells)}|\n` : line;
    },
  });
  service.addRule('rows', { filter: ['tbody', 'thead', 'tfoot'], replacement: (content: string) => content });
  service.addRule('table', { filter: 'table', replacement: (content: string) => `\n\n${content}\n\n` });
}

const lineOf = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

function isHidden(node: Element): boolean {
  return (
    node.hasAttribute('hidden') ||
    node.getAttribute('aria-hidden') === 'true' ||
    HIDDEN.test(node.getAttribute('style') ?? '')
  );
}

function isBlock(node: unknown): boolean {
  return typeof node === 'object' && node !== null && 'isBlock' in node && node.isBlock === true;
}

function linkOf(href: string | null, base: string): URL | null {
  const url = href === null || href.startsWith('#') ? null : URL.parse(href, base);
  return url !== null && /^https?:$/.test(url.protocol) ? url : null;
}

/** In full, with nothing that would end it in Markdown. */
function hrefOf(href: string | null, base: string): string | null {
  const found = linkOf(href, base);
  return (
    found?.href.replace(
      /[()[\]<>\\\s]/g,
      (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
    ) ?? null
  );
}
