// A canvas context that writes what is drawn as SVG. It has what `paint` uses of a context.

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
    // XML has no form for other control characters.
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd');

export class SvgContext {
  fillStyle = '#000000';
  strokeStyle = '#000000';
  lineWidth = 1;
  font = '';
  textBaseline = 'middle';
  textAlign = 'left';
  private readonly parts: string[] = [];
  private path = '';
  private readonly clips: string[] = [];
  private clipId = 0;

  constructor(private readonly width: number, private readonly height: number, readonly measureText: (text: string) => { width: number }) {}

  fillRect(x: number, y: number, w: number, h: number): void {
    this.parts.push(`<rect x="${x}" y="${y}" width="${w}" height="${h}" fill="${this.fillStyle}"/>`);
  }

  fillText(text: string, x: number, y: number): void {
    const weight = this.font.startsWith('600') ? ' font-weight="600"' : '';
    this.parts.push(`<text x="${x}" y="${y}" fill="${this.fillStyle}"${weight}>${escaped(text)}</text>`);
  }

  beginPath(): void {
    this.path = '';
  }

  rect(x: number, y: number, w: number, h: number): void {
    this.path += `M${x} ${y}h${w}v${h}h${-w}z`;
  }

  moveTo(x: number, y: number): void {
    this.path += `M${x} ${y}`;
  }

  lineTo(x: number, y: number): void {
    this.path += `L${x} ${y}`;
  }

  clip(): void {
    const id = `c${this.clipId++}`;
    this.clips.push(`<clipPath id="${id}"><path d="${this.path}"/></clipPath>`);
    this.parts.push(`<g clip-path="url(#${id})">`);
  }

  stroke(): void {
    this.parts.push(`<path d="${this.path}" stroke="${this.strokeStyle}" stroke-width="${this.lineWidth}" fill="none"/>`);
  }

  save(): void {}

  restore(): void {
    this.parts.push('</g>');
  }

  /** The drawing, with a title for screen readers. */
  text(title: string): string {
    return `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${this.width} ${this.height}" width="${this.width}" height="${this.height}" role="img" font-family="ui-monospace, Menlo, 'DejaVu Sans Mono', monospace" font-size="11" dominant-baseline="middle"><title>${escaped(title)}</title>
<defs>${this.clips.join('')}</defs>
${this.parts.join('\n')}
</svg>
`;
  }
}
