// Work of which only the latest counts, such as a search for each letter that is typed.

/** Does one thing at a time: what was wanted in the meantime, except the latest, is left out. */
export class Latest<T> {
  private wanted: T | null = null;
  private isBusy = false;

  /** `act` asks whether its result is still wanted. If it rejects, that is logged, and the next thing is done. */
  constructor(private readonly act: (one: T, isWanted: () => boolean) => Promise<void>) {}

  want(one: T | null): void {
    this.wanted = one;
    if (!this.isBusy) void this.work();
  }

  private async work(): Promise<void> {
    this.isBusy = true;
    for (let done: T | null = null; this.wanted !== null && this.wanted !== done;) {
      const one: T = this.wanted;
      try {
        await this.act(one, () => this.wanted === one);
      } catch (error) {
        console.error(error);
      }
      done = one;
    }
    this.isBusy = false;
  }
}
