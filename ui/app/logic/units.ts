// Coordinate spaces and units as types: a pixel cannot be passed where a share of the profile is
// expected without a visible cast.

declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** A distance on the screen in CSS pixels. */
export type Px = Branded<number, 'Px'>;
/** A share of the whole profile, 0 to 1: the horizontal axis of the flame graph. */
export type Fraction = Branded<number, 'Fraction'>;
/** A node's position in the preorder of one tree. It changes with every reload; a path of names does not. */
export type NodeId = Branded<number, 'NodeId'>;
/** Milliseconds since the Unix epoch. */
export type Millis = Branded<number, 'Millis'>;

export const px = (n: number): Px => n as Px;
export const fraction = (n: number): Fraction => n as Fraction;
export const nodeId = (n: number): NodeId => n as NodeId;
export const millis = (n: number): Millis => n as Millis;

export const ROOT: NodeId = nodeId(0);
