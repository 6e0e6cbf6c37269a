// Written by `pylon codegen` from the app chat. Do not edit.
//
//   import { connect } from "/_pylon/client.js";
//   import type { App } from "./pylon.gen";
//   const db = await connect<App>();

/* eslint-disable */

/** A row of Channel, as clients read it. */
export interface Channel {
  readonly id: string;
  readonly name: string;
  readonly isPrivate: boolean;
  readonly ownerId: string;
  readonly createdAt: string;
  readonly _seq: number;
}

/** A row of Membership, as clients read it. */
export interface Membership {
  readonly id: string;
  readonly channelId: string;
  readonly userId: string;
  readonly joinedAt: string;
  readonly _seq: number;
}

/** A row of Message, as clients read it. */
export interface Message {
  readonly id: string;
  readonly channelId: string;
  readonly authorId: string;
  readonly body: string;
  readonly attachment: { id: string; url: string; size: number; type: string; sha256: string; name: string } | null;
  readonly editedAt: string | null;
  readonly sentAt: string;
  readonly _seq: number;
}

/** How far somebody has read a channel. */
export interface ReadMark {
  readonly id: string;
  readonly channelId: string;
  readonly userId: string;
  readonly readAt: string;
  readonly _seq: number;
}

/** The public face of an account. */
export interface User {
  readonly id: string;
  readonly name: string | null;
  readonly avatar: string | null;
  readonly _seq: number;
}

/** What `connect<App>()` knows of this app. */
export interface App {
  readonly entities: {
    readonly Channel: {
      readonly row: Channel;
      readonly insert: {
        readonly name: string;
        readonly isPrivate?: boolean | undefined;
        readonly ownerId?: string | undefined;
        readonly createdAt?: Date | string | undefined;
      };
      readonly patch: {
        readonly name?: string | undefined;
        readonly isPrivate?: boolean | undefined;
        readonly createdAt?: Date | string | undefined;
      };
      readonly relations: {
        readonly owner: { readonly entity: "User"; readonly many: false };
        readonly membershipsByChannel: { readonly entity: "Membership"; readonly many: true };
        readonly messagesByChannel: { readonly entity: "Message"; readonly many: true };
        readonly readMarksByChannel: { readonly entity: "ReadMark"; readonly many: true };
        readonly memberships: { readonly entity: "Membership"; readonly many: true };
        readonly messages: { readonly entity: "Message"; readonly many: true };
        readonly readMarks: { readonly entity: "ReadMark"; readonly many: true };
        readonly members: { readonly entity: "Membership"; readonly many: true };
      };
    };
    readonly Membership: {
      readonly row: Membership;
      readonly insert: {
        readonly channelId: string;
        readonly userId: string;
        readonly joinedAt?: Date | string | undefined;
      };
      readonly patch: {
        readonly channelId?: string | undefined;
        readonly userId?: string | undefined;
        readonly joinedAt?: Date | string | undefined;
      };
      readonly relations: {
        readonly channel: { readonly entity: "Channel"; readonly many: false };
        readonly user: { readonly entity: "User"; readonly many: false };
      };
    };
    readonly Message: {
      readonly row: Message;
      readonly insert: {
        readonly channelId: string;
        readonly authorId?: string | undefined;
        readonly body: string;
        readonly attachment?: { id: string; url: string; size: number; type: string; sha256: string; name: string } | null | undefined;
        readonly editedAt?: Date | string | null | undefined;
        readonly sentAt?: Date | string | undefined;
      };
      readonly patch: {
        readonly body?: string | undefined;
        readonly attachment?: { id: string; url: string; size: number; type: string; sha256: string; name: string } | null | undefined;
        readonly editedAt?: Date | string | null | undefined;
      };
      readonly relations: {
        readonly channel: { readonly entity: "Channel"; readonly many: false };
        readonly author: { readonly entity: "User"; readonly many: false };
      };
    };
    readonly ReadMark: {
      readonly row: ReadMark;
      readonly insert: {
        readonly channelId: string;
        readonly userId?: string | undefined;
        readonly readAt?: Date | string | undefined;
      };
      readonly patch: {
        readonly readAt?: Date | string | undefined;
      };
      readonly relations: {
        readonly channel: { readonly entity: "Channel"; readonly many: false };
        readonly user: { readonly entity: "User"; readonly many: false };
      };
    };
    readonly User: {
      readonly row: User;
      readonly insert: {
        readonly name?: string | null | undefined;
        readonly avatar?: string | null | undefined;
      };
      readonly patch: {
        readonly name?: string | null | undefined;
        readonly avatar?: string | null | undefined;
      };
      readonly relations: {
        readonly channelsByOwner: { readonly entity: "Channel"; readonly many: true };
        readonly membershipsByUser: { readonly entity: "Membership"; readonly many: true };
        readonly messagesByAuthor: { readonly entity: "Message"; readonly many: true };
        readonly readMarksByUser: { readonly entity: "ReadMark"; readonly many: true };
        readonly channels: { readonly entity: "Channel"; readonly many: true };
        readonly memberships: { readonly entity: "Membership"; readonly many: true };
        readonly messages: { readonly entity: "Message"; readonly many: true };
        readonly readMarks: { readonly entity: "ReadMark"; readonly many: true };
        readonly members: { readonly entity: "Membership"; readonly many: true };
      };
    };
  };
  readonly functions: {
    /** By channel id, how many messages of others came after my read mark. */
    readonly unreadCounts: {
      readonly args: Record<string, never>;
      readonly returns: Record<string, number>;
    };
    /** Move my read mark of a channel to now. */
    readonly markRead: {
      readonly args: {
        readonly channelId: string;
      };
      readonly returns: null;
    };
  };
}
