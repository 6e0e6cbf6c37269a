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
    /**
     * read: the caller is signed in and (its isPrivate is false or its ownerId is the caller or (there is a Membership whose channelId is its id and userId is the caller))
     * insert: its ownerId is the caller
     * update: its ownerId is the caller
     * delete: its ownerId is the caller
     */
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
    /**
     * read: the caller is its userId or (there is a Membership whose channelId is its channelId and userId is the caller)
     * insert: (the caller is its userId and (there is a Channel whose id is its channelId and isPrivate is false)) or (there is a Channel whose id is its channelId and ownerId is the caller)
     * update: nobody: there is no policy for it
     * delete: the caller is its userId or (there is a Channel whose id is its channelId and ownerId is the caller)
     */
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
    /**
     * read: the caller is signed in and ((there is a Channel whose id is its channelId and isPrivate is false) or (there is a Membership whose channelId is its channelId and userId is the caller))
     * insert: its authorId is the caller and ((there is a Channel whose id is its channelId and isPrivate is false) or (there is a Membership whose channelId is its channelId and userId is the caller))
     * update: its authorId is the caller
     * delete: its authorId is the caller or the caller has the role moderator
     */
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
    /**
     * read: its userId is the caller
     * insert: its userId is the caller
     * update: its userId is the caller
     * delete: its userId is the caller
     */
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
    /**
     * read: the caller is signed in
     * insert: nobody: there is no policy for it
     * update: the caller is its id
     * delete: nobody: there is no policy for it
     */
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
    /**
     * By channel id, how many messages of others came after my read mark.
     *
     * call: whoever is signed in
     */
    readonly unreadCounts: {
      readonly args: Record<string, never>;
      readonly returns: Record<string, number>;
    };
    /**
     * Move my read mark of a channel to now.
     *
     * call: whoever is signed in
     */
    readonly markRead: {
      readonly args: {
        readonly channelId: string;
      };
      readonly returns: null;
    };
  };
}

/** Codes that this app refuses with, beside those of the runtime (`ErrorCode`). */
export type RefusalCode = never;
