/** A file, or how it is made when somebody asks for it. It says in an error why there is none. */
export type SiteFile = Uint8Array | (() => Uint8Array | Promise<Uint8Array>);
