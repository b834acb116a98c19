// SPDX-License-Identifier: Apache-2.0
// Every bound of Sanctum, with its unit and its reason. Code holds no other magic limit.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sanctum {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// --- base ---------------------------------------------------------------------------------------------------------
/// Nesting of any JSON we read; deeper is an attack on the parser's stack.
inline constexpr int kJsonDepthMax = 32;
/// One datagram between our processes: 128 KiB passes through SOCK_SEQPACKET, 256 KiB does not; half of the first.
inline constexpr std::size_t kWireDatagramBytesMax = 64 * 1024;
/// Messages that go to another process at the same time are joined up to this size and this many.
inline constexpr std::size_t kWireJoinedBytesMax = 16 * 1024;
inline constexpr std::size_t kWireJoinedMessagesMax = 128;
/// Descriptors in one datagram; the kernel allows 253, nothing of ours needs more.
inline constexpr std::size_t kWireDescriptorsMax = 64;
/// How long one of our processes waits for room in another's socket before it calls that one broken.
inline constexpr milliseconds kWireSendTimeout{5000};
/// A small file that we read whole (configuration, profile, policy).
inline constexpr std::size_t kSmallFileBytesMax = 1024 * 1024;
/// A sealed memfd that a peer of ours hands over (mission, catalog, upstream configuration).
inline constexpr std::size_t kMemfdBytesMax = 16 * 1024 * 1024;

// --- launcher: plan and confinement ---------------------------------------------------------------------------------
/// The agent's user and group where root starts a mission in a folder of root: between nobody (65534) and the range
/// that systemd hands out dynamically, so that no other program runs under it.
inline constexpr std::uint32_t kUnprivilegedId = 65531;
/// TCP ports inside: two listeners each and the rest of the interceptor's start message fit in one datagram.
inline constexpr std::size_t kSandboxPortsMax = 24;
/// Descriptors in one message of the set-up: two listeners per port and six more; the kernel's limit is 253.
inline constexpr std::size_t kSpawnDescriptorsMax = 2 * kSandboxPortsMax + 6;
/// Name of a failing set-up step with its error text.
inline constexpr std::size_t kSetupStepBytesMax = 480;
/// One step of the set-up's hand-shake; a slow disk under the mounts is the only thing that takes long.
inline constexpr seconds kSetupTimeout{30};
/// How much later than the mission's end init's own timer fires: the launcher ends the tree first, in order.
inline constexpr seconds kInitTimerGrace{5};
/// Temporary files of the agent, held in memory; also what /dev/shm and a fresh home may take.
inline constexpr std::uint64_t kScratchBytesMax = 2ULL * 1024 * 1024 * 1024;
/// The root itself: mount points, synthesised files and the trust bundle.
inline constexpr std::uint64_t kRootBytesMax = 16ULL * 1024 * 1024;
/// The machine's trust bundle: 150 roots are 220 KiB.
inline constexpr std::size_t kTrustBundleBytesMax = 8 * 1024 * 1024;
/// Certificate and rules file that the held agent is given at the gate.
inline constexpr std::size_t kReleaseBytesMax = 4 * 1024 * 1024;
/// The kernel kills the agent before our processes when memory runs out; proc(5), oom_score_adj.
inline constexpr int kAgentOomScore = 500;
/// Entries of the granted folders that are looked through for sockets, secrets and files that run later.
inline constexpr std::size_t kWalkEntriesMax = 2'000'000;
/// Depth of that walk: PATH_MAX allows 2048 levels, real trees stay below 40.
inline constexpr int kWalkDepthMax = 128;
/// Places in the granted folders that need a mount of their own (masks, files that run later).
inline constexpr std::size_t kGuardedPlacesMax = 4096;
/// A file that runs later, as remembered for putting it back; larger ones are hashed and held, not reverted.
inline constexpr std::size_t kRunsLaterFileBytesMax = 1024 * 1024;

// --- ledger -------------------------------------------------------------------------------------------------------
/// Records waiting for the ledger thread: a quarter of a second at the fastest rate the proxy reaches, so that one
/// slow fsync does not hold it up, and at most some 10 MB.
inline constexpr std::size_t kLedgerQueueRecordsMax = 16384;
/// Records handed to the ledger thread at once: what a few exchanges of one turn bring.
inline constexpr std::size_t kLedgerGatheredMax = 256;
/// One ledger line. A datagram of 64 KiB grows at most six times when every byte is escaped, and lists are cut below.
inline constexpr std::size_t kLedgerLineBytesMax = 1024 * 1024;
/// Serialised size of a list that the agent or the caller chooses (command, held files); the rest is counted.
inline constexpr std::size_t kLedgerListBytesMax = 128 * 1024;
/// One element of such a list, and any single word of the agent's; longer ones are cut with their length named.
inline constexpr std::size_t kLedgerWordBytesMax = 8 * 1024;
/// Whole ledger of one mission: far above any honest run, below what fills an operator's disk unseen.
inline constexpr std::uint64_t kLedgerBytesMax = 8ULL * 1024 * 1024 * 1024;
/// A signed head is due after so many records …
inline constexpr std::uint64_t kLedgerHeadRecords = 1024;
/// … or so long after the first record that none covers; the file is synced then, so a power cut loses no more.
inline constexpr seconds kLedgerHeadInterval{10};
/// Refusals written one by one in each second; identical ones above that are counted in one record.
inline constexpr std::uint64_t kLedgerRefusalsSinglePerSecond = 50;
/// Space kept back so that the end of the mission and its receipt can be written on a full disk.
inline constexpr std::size_t kLedgerReserveBytes = 1024 * 1024;
/// Lease ends kept for the seal after writing has failed; each is below 1 KiB, all fit the reserve.
inline constexpr std::size_t kLedgerLeaseEndsKeptMax = 256;
/// Exchanges between intent and outcome; each holds an agent's connection, of which there are far fewer.
inline constexpr std::size_t kLedgerOpenExchangesMax = 65536;
/// Leases and approvals that a receipt lists one by one; the rest is counted.
inline constexpr std::size_t kReceiptRowsMax = 4096;
/// What a lease's row says of its end; the longest that our own sentences come to, with a provider's words in them. The
/// ledger has all of it.
inline constexpr std::size_t kReceiptDetailBytesMax = 512;
/// A receipt's envelope, as read back: rows above at some 1200 bytes each, base64.
inline constexpr std::size_t kReceiptBytesMax = 16 * 1024 * 1024;

// --- vault --------------------------------------------------------------------------------------------------------
/// How long the vault waits for the launcher's `start` after its `hello`; the launcher builds the sandbox meanwhile.
inline constexpr seconds kVaultStartTimeout{60};
/// The sealed store as a file: a thousand credentials of ordinary size are a few hundred KiB.
inline constexpr std::size_t kStoreFileBytesMax = 8 * 1024 * 1024;
inline constexpr std::size_t kStoreItemsMax = 1024;
inline constexpr std::size_t kStoreSlotsMax = 8;
/// A name that is typed, listed and written in the configuration.
inline constexpr std::size_t kStoreNameBytesMax = 64;
inline constexpr std::size_t kStoreNoteBytesMax = 256;
/// One stored value: room for a service account's JSON or a chain of certificates.
inline constexpr std::size_t kStoreValueBytesMax = 32 * 1024;
/// Argon2id as a store file may ask for it; more would let a forged file take the machine's memory.
inline constexpr std::uint64_t kArgonMemoryBytesMax = 1024ULL * 1024 * 1024;
inline constexpr std::uint64_t kArgonOperationsMax = 16;
/// A passphrase: what a terminal's line discipline passes on.
inline constexpr std::size_t kPassphraseBytesMax = 1024;
/// How often a mistyped passphrase may be repeated, and how long the prompt of a mission waits.
inline constexpr int kPassphraseTriesMax = 3;
inline constexpr minutes kPassphraseTimeout{5};
/// How long `vault unlock` keeps the key in the user keyring unless told otherwise, and at most.
inline constexpr std::chrono::hours kUnlockDefault{8};
inline constexpr std::chrono::hours kUnlockMax{24 * 7};
/// A credential that is put on a request: servers refuse longer header fields (8 to 32 KiB are common).
inline constexpr std::size_t kCredentialBytesMax = 16 * 1024;
/// A client certificate with its chain and its key, which have to fit into one message with the token (RSA 4096 and two
/// intermediates: 9 KiB).
inline constexpr std::size_t kClientCertificateBytesMax = 32 * 1024;
/// An identity provider's answer: discovery documents and key sets are the largest, at some 30 KiB.
inline constexpr std::size_t kProviderAnswerBytesMax = 256 * 1024;
/// Its head, interim answers included; common servers stop at 8 to 64 KiB.
inline constexpr std::size_t kProviderHeadBytesMax = 64 * 1024;
/// Interim answers (1xx) before the one that counts; providers send none.
inline constexpr int kProviderInterimMax = 5;
/// Elements of an XML answer within each other; those of STS have five.
inline constexpr std::size_t kXmlDepthMax = 16;
/// Inline session policy of AWS STS, in characters as AWS counts them.
inline constexpr std::size_t kSessionPolicyCharsMax = 2048;
/// One request with all its tries. Below kLeaseTimeout, so that an agent gets the provider's reason and not ours.
inline constexpr seconds kProviderTimeout{20};
/// Tries of one request; the first included.
inline constexpr int kProviderTriesMax = 3;
/// The wait before the second try, at most, unless the provider asks for more; it doubles from try to try.
inline constexpr milliseconds kProviderRetryWait{500};
/// Connections to providers at once; further requests wait for their turn under their deadline.
inline constexpr std::size_t kProviderConnectionsMax = 32;
/// Output of a `command` source; far above any credential, so that a chatty program gets an error and not a hang.
inline constexpr std::size_t kCommandOutputBytesMax = 64 * 1024;
/// A `command` source may ask its user to touch a key; after this it is killed. Below kLeaseTimeout.
inline constexpr seconds kCommandTimeout{45};
/// What a program is told in one variable of its environment: scopes of a need, or a handle that it printed.
inline constexpr std::size_t kCommandWordBytesMax = 4096;
/// A handle that a program printed beside a credential; it is kept in the journal.
inline constexpr std::size_t kHandleBytesMax = 256;
/// Rules of one Credential Access Boundary; Google takes no more.
inline constexpr std::size_t kBoundaryRulesMax = 10;
/// A credential of `rotate` that ends sooner is not shared with a new lease any more.
inline constexpr seconds kRotateFloor{60};
/// Programs of `command` sources that run at the same time.
inline constexpr std::size_t kCommandsAtOnceMax = 8;
/// A lease is fetched anew after this, so that a credential changed at its source is noticed.
inline constexpr minutes kLeaseLifeMax{60};
/// A credential for one request; long enough for a slow upload to begin.
inline constexpr minutes kSingleUseLifeMax{10};
/// A login's access token with less than this left is renewed before it is handed out.
inline constexpr minutes kLoginRenewBefore{2};
/// An agent that wants its login renewed again so soon gets what there is: one in a loop would use its owner's up.
inline constexpr seconds kLoginRenewPause{30};
/// What an agent is told by its token endpoint: placeholders as long as the tokens, and what the catalog keeps.
inline constexpr std::size_t kLoginReplyBytesMax = 48 * 1024;
/// A provider may still make what was asked for this long after it was asked; longer than any exchange waits for it.
inline constexpr seconds kLateMintMax{60};
/// How long after its end by this machine's clock a credential that could be given back is still tried: a clock that
/// was set wrong, at boot above all, must not make us forget it.
inline constexpr std::chrono::hours kGiveBackAfterEnd{24};
/// Needs that wait for a source at the same time; one per exchange in flight.
inline constexpr std::size_t kLeaseWaitersMax = 4096;
/// A provider that wants its owner's consent, and one that is set up wrongly, are not asked again for this long: people
/// change that, not time.
inline constexpr milliseconds kConsentRest{10'000};
/// The same after an answer that was lost or of no use, behind which something was made perhaps: a minting source is
/// not made to mint without end by an agent in a loop.
inline constexpr milliseconds kOrphanRest{5'000};
/// Tokens of a mission's own that one account may lose in it: each is a refresh token that lives for weeks, and Auth0
/// keeps 200 for a user and application (the oldest go silently, and with them other missions' and the user's).
inline constexpr std::size_t kMissionTokensLostMax = 3;
inline constexpr milliseconds kMisconfiguredRest{60'000};
/// The longest that a provider's "later" holds a need back: the mission may outlive it.
inline constexpr milliseconds kSourceRestMax{15 * 60'000};
/// A credential that its upstream refused (401) is replaced once in this time for one need: an upstream that refuses
/// everything must not make a source mint without end.
inline constexpr milliseconds kRefusedRest{60'000};
/// How long a need waits while another mission uses the same account's refresh token, and how often it looks.
inline constexpr seconds kSubjectLockTimeout{30};
inline constexpr milliseconds kSubjectLockPause{20};
/// How long an assertion that we sign is good for; providers take 5 minutes at most and advise one.
inline constexpr seconds kAssertionLife{60};
/// A provider's clock may differ from ours by this much before we go by its own (Auth0 lets 10 s pass).
inline constexpr seconds kClockSkewAllowed{5};
/// A nonce that a server wants in proofs (RFC 9449 8); those seen are below 100 bytes.
inline constexpr std::size_t kDpopNonceBytesMax = 512;
/// Servers whose last nonce is kept; a mission has fewer hosts with bound tokens.
inline constexpr std::size_t kDpopNoncesMax = 256;
/// An error's name in a provider's answer (RFC 6749 5.2) that is repeated to the operator.
inline constexpr std::size_t kProviderErrorNameMax = 64;
/// What the process that reads metadata says of it: no more than it read, addresses as long as they may be in one, and
/// a sentence of ours.
inline constexpr std::size_t kLookupAnswerBytesMax = kProviderAnswerBytesMax;
inline constexpr std::size_t kLookupAddressBytesMax = 2048;
inline constexpr std::size_t kLookupSentenceBytesMax = 1024;
/// Its sentence for people (`error_description`) as it is repeated; two lines of a terminal.
inline constexpr std::size_t kProviderWordsMax = 200;
/// An address that a provider wants a person to open; browsers stop at 2 KiB and more.
inline constexpr std::size_t kProviderUrlBytesMax = 4096;
/// A code that a person types at another device (RFC 8628 6.1 has eight characters).
inline constexpr std::size_t kUserCodeBytesMax = 64;
/// How often the device flow asks when the provider does not say, and what `slow_down` adds (RFC 8628 3.2, 3.5).
inline constexpr seconds kDeviceInterval{5};
/// The longest pause between two of its questions, whatever the provider says or loses.
inline constexpr seconds kDeviceIntervalMax{60};
/// How long a person may take to consent; providers end their part after 5 to 30 minutes.
inline constexpr minutes kConsentTimeout{15};
/// A browser's request to our listener on loopback: head only; cookies of other programs on 127.0.0.1 come with it.
inline constexpr std::size_t kLoopbackRequestBytesMax = 32 * 1024;
/// Connections of browsers to it at a time; they open some ahead. One too many ends the oldest.
inline constexpr std::size_t kLoopbackClientsMax = 16;
/// The longest life of a token that is believed, ten years: what is longer is as good as for ever.
inline constexpr std::int64_t kProviderLifeSecondsMax = 10LL * 365 * 24 * 3600;
/// Uses that a token can be made for; more are as good as any number.
inline constexpr std::int64_t kTokenUsesMax = 1'000'000;
/// Characters of a Kubernetes object's name (RFC 1123, subdomain).
inline constexpr std::size_t kObjectNameCharsMax = 253;
/// The shortest life of a token that Kubernetes makes (TokenRequest refuses less than ten minutes).
inline constexpr minutes kKubernetesTokenLifeMin{10};
/// A token that only reads one secret of OpenBao's lives this long at most.
inline constexpr seconds kSecretReaderLife{60};
/// A token that only revokes outlives what it revokes by this much: nothing of the latter is left without it.
inline constexpr seconds kRevokerMargin{60};
/// Leases of one mission that are not ended.
inline constexpr std::size_t kLeasesHeldMax = 1024;
/// Leases with an end that are still known by name, for uses that are reported late.
inline constexpr std::size_t kLeasesEndedMax = 1024;
/// Approvals told and not yet used.
inline constexpr std::size_t kApprovalsPendingMax = 256;
/// How long uses are collected before they are written to the journal: a crash loses this much of a counter.
inline constexpr milliseconds kLeaseUseJournalInterval{1000};
/// At the end: how long an answer that is under way is waited for before its lease counts as orphaned.
inline constexpr seconds kAcquireAtEndTimeout{5};
/// The vault's longest sleep: poll(2) does not count a suspended machine, deadlines do.
inline constexpr seconds kPollPauseMax{15};
/// How long SQLite waits for another mission's write.
inline constexpr milliseconds kJournalBusyTimeout{5000};
/// Settled missions leave the journal after this; the ledger keeps them.
inline constexpr std::chrono::hours kJournalKeep{24 * 90};
/// Missions that the reaper holds in memory at once; it goes on to the end in pages.
inline constexpr std::size_t kReapMissionsMax = 1000;
/// Unsettled missions that can be told to `sanctum prune`; with more of them it must refuse (27 bytes each).
inline constexpr std::size_t kUnfinishedMissionsMax = 256 * 1024;

// --- profiles -----------------------------------------------------------------------------------------------------
/// Mistakes of one file reported together; more would scroll the first, which is usually the cause, off the screen.
inline constexpr std::size_t kDiagnosticsMax = 20;
/// Characters of a source line shown in a diagnostic.
inline constexpr std::size_t kDiagnosticLineCharsMax = 160;
/// Names (mission, agent, service, account): they become file names and words of one ledger line.
inline constexpr std::size_t kNameCharsMax = 63;
/// Free text of a profile (purpose, reason): shown on one approval card.
inline constexpr std::size_t kSentenceCharsMax = 500;
/// Any other text of a profile or configuration (paths, placeholders, patterns): the longest path of Linux.
inline constexpr std::size_t kTextCharsMax = 4096;
/// Services, hosts, rules, budget lines, mounts of one profile each: decisions walk these lists per request.
inline constexpr std::size_t kProfileListMax = 128;
/// Texts in one list of a profile (match, grant, patterns, variables).
inline constexpr std::size_t kTextListMax = 256;
/// Segments of a path that can be decided on; longer paths are unknown operations.
inline constexpr std::size_t kPathSegmentsMax = 64;
/// Life of a mission, at most; leases end with it, so an unbounded one would be a standing permission.
inline constexpr milliseconds kMissionTtlMax{31LL * 24 * 60 * 60 * 1000};
/// Shortest life that can start anything at all.
inline constexpr milliseconds kMissionTtlMin{1000};
/// Operations of one catalog entry; the largest known API has some 1,200.
inline constexpr std::size_t kCatalogOperationsMax = 4096;
/// A catalog entry's source; the largest known API fits four times.
inline constexpr std::size_t kCatalogTextBytesMax = 2 * 1024 * 1024;
/// Ref updates of one push that are decided on; git itself sends one per branch.
inline constexpr std::size_t kRefUpdatesMax = 4096;
/// One batch of git-lfs, which is read before it is decided on; the client asks for 100 objects at a time, 15 KiB.
inline constexpr std::size_t kLfsBatchBytesMax = 256 * 1024;
/// Pins in trust.json.
inline constexpr std::size_t kTrustPinsMax = 4096;

// --- interceptor: connections, TLS, DNS, upstream -------------------------------------------------------------------
/// Agent connections open at once; further ones wait in the listener's queue. "A thousand connections" must work.
inline constexpr std::size_t kAgentConnectionsMax = 1024;
/// Descriptors kept back for everything that is not an agent connection or its upstream connection.
inline constexpr std::size_t kDescriptorReserve = 96;
/// How long accepting rests after the process ran out of descriptors; a closed connection ends the rest earlier.
inline constexpr milliseconds kAcceptPause{100};
/// From the first byte to the end of the agent's TLS handshake, and how long a silent connection may wait to begin.
inline constexpr seconds kHandshakeTimeout{10};
/// Bytes of an agent's ClientHello flight; post-quantum key shares need about 2 KiB, nothing honest needs more.
inline constexpr std::size_t kClientHelloBytesMax = 64 * 1024;
/// Orderly end of one stream, waiting for the other side's included.
inline constexpr milliseconds kShutdownTimeout{2000};
/// Bytes read and thrown away while a stream ends, so that a peer still sending does not lose our last words.
inline constexpr std::size_t kLingerBytesMax = 1024 * 1024;
/// Reads that a stream may answer without letting other connections run (16 KiB each).
inline constexpr unsigned kReadsPerTurnMax = 16;
/// Leaf certificates kept; a mission talks to fewer hosts, and minting one again costs 0.1 ms.
inline constexpr std::size_t kLeafCertificatesMax = 256;
/// How far certificates are back-dated, for agents whose clock is a little behind.
inline constexpr minutes kCertificateBackdate{60};
/// TLS sessions kept for resumption, in all, and per host and credential (a TLS 1.3 ticket is used once).
inline constexpr std::size_t kUpstreamSessionsMax = 512;
inline constexpr std::size_t kUpstreamSessionsPerKeyMax = 4;
/// Idle upstream connections kept open, in all.
inline constexpr std::size_t kUpstreamIdleMax = 256;
/// How long an idle upstream connection is kept; below the 75 s after which common servers close.
inline constexpr seconds kUpstreamIdleTime{50};
/// Resolve, judge and connect, as the dialler sees it; then as the interceptor waits for it.
inline constexpr milliseconds kDialTimeout{15000};
inline constexpr milliseconds kDialAnswerTimeout{20000};
/// One name look-up try; and tries (c-ares doubles the time per try).
inline constexpr milliseconds kResolveTimeout{2000};
inline constexpr int kResolveTries = 3;
/// After so long without an answer the next address is tried beside the first (RFC 8305 section 5).
inline constexpr milliseconds kConnectAttemptDelay{250};
/// Addresses of one name that are tried.
inline constexpr std::size_t kDialAddressesMax = 16;
/// Dials under way in the dialler; more than that is a broken interceptor.
inline constexpr std::size_t kDialsMax = 2048;
/// TLS handshake with an upstream server.
inline constexpr seconds kUpstreamHandshakeTimeout{15};
/// Names that hold a pool address at once; each costs about 200 bytes.
inline constexpr std::size_t kDnsNamesMax = 8192;
/// Life of our DNS answers; short, so that a name that lost its address asks again.
inline constexpr std::uint32_t kDnsTtlSeconds = 60;
/// One DNS message: what we accept over UDP, and the payload size we announce (RFC 9715).
inline constexpr std::size_t kDnsMessageBytesMax = 1232;
/// Datagrams answered before other connections get their turn.
inline constexpr unsigned kDnsDatagramsPerTurn = 32;
/// DNS over TCP: connections at once, and how long a silent one is kept.
inline constexpr std::size_t kDnsTcpConnectionsMax = 16;
inline constexpr seconds kDnsTcpIdleTime{10};
/// Records waiting for a slow launcher; beyond it sending blocks, which holds back every agent connection.
inline constexpr std::size_t kRecordQueueBytesMax = 1024 * 1024;
/// How long an exchange waits until its intent is on disk.
inline constexpr seconds kRecordTimeout{10};
/// How long an exchange waits for a credential; command sources may ask a remote service.
inline constexpr seconds kLeaseTimeout{60};
/// Requests to token endpoints that the vault answers, at once; an agent has one.
inline constexpr std::size_t kLoginsAtOnceMax = 16;
/// Body of an agent's request to its token endpoint: a code, a verifier, an address.
inline constexpr std::size_t kLoginBodyBytesMax = 16 * 1024;
/// How much longer than the mission an agent's files say that its login lasts: clients renew one that ends soon.
inline constexpr std::chrono::hours kLoginShownLonger{1};
/// Leases in use at once.
inline constexpr std::size_t kLeasesMax = 1024;
/// Credentials that are looked for in responses after their lease has ended; services that fetch one for every exchange
/// have many.
inline constexpr std::size_t kCredentialsRememberedMax = 64;
/// A request's body that is kept, so that it can be sent again with another credential; a call to an API fits.
inline constexpr std::size_t kRepeatedBodyBytesMax = 16 * 1024;
/// No request is begun with a lease, cached or new, that ends sooner than this.
inline constexpr milliseconds kLeaseFloor{2000};
/// The first message of the launcher.
inline constexpr seconds kStartTimeout{10};

// --- launcher/run and launcher/watch --------------------------------------------------------------------------------
/// Descriptors served in one turn of the launcher's loop; what is left comes in the next.
inline constexpr std::size_t kEventsPerTurnMax = 32;
/// Messages of one peer handled in one turn, so that a busy interceptor cannot keep revocation waiting.
inline constexpr std::size_t kPacketsPerTurnMax = 128;
/// One file of /proc that we read (status, stat, comm); the kernel writes less than 4 KiB.
inline constexpr std::size_t kProcFileBytesMax = 16 * 1024;
/// hello of interceptor and vault: an exec and a few milliseconds; generous for a loaded machine.
inline constexpr seconds kHelloTimeout{10};
/// ready of the interceptor: CA, confinement, dialler.
inline constexpr seconds kInterceptorReadyTimeout{20};
/// ready of the vault: Argon2 and, on a terminal, a person who types a passphrase.
inline constexpr seconds kVaultReadyTimeout{30};
/// Of it, all that providers are asked before the mission starts, together (where a token endpoint is not configured).
inline constexpr seconds kDiscoveryTimeout{10};
inline constexpr minutes kVaultPassphraseTimeout{2};
/// How long running exchanges may finish once the command has ended by itself, and when the mission is cut off.
inline constexpr milliseconds kDrainAfterExit{500};
inline constexpr milliseconds kDrainAtOnce{0};
/// How much longer than the drain we wait for `stopped` before the interceptor is killed.
inline constexpr milliseconds kStopGrace{2000};
/// How long the end of a run waits for the vault; after that the vault goes on alone and the record says parked.
inline constexpr seconds kRetireTimeout{10};
/// How long after its channel closed a dying vault is waited for, to tell it from one that goes on alone.
inline constexpr milliseconds kVaultLeaveTimeout{200};
/// What the standby answers: a lease line is below 1 KiB, a found file below 4 KiB.
inline constexpr std::size_t kStandbyAnswerBytesMax = 4 * 1024 * 1024;
/// How long the witness's command may take for one head; a request to a server of the operator's.
inline constexpr seconds kWitnessTimeout{5};
/// How long the end of a run waits for the witness's answers, all of them together.
inline constexpr seconds kWitnessEndTimeout{10};
/// Heads that the witness has not answered yet; one more counts as not told. It bounds as well what is left to do when
/// the launcher dies.
inline constexpr std::size_t kWitnessHeadsWaitingMax = 8;
/// One head as a line, and one answer: some 350 bytes. Below PIPE_BUF, so that a pipe takes a line at once.
inline constexpr std::size_t kWitnessLineBytesMax = 2048;
/// Missions below one that a person started: an agent, its sub-agent, and what that one starts.
inline constexpr std::uint32_t kDelegationDepthMax = 3;
/// Child missions of one mission at one time: each is a launcher, an interceptor and a vault.
inline constexpr std::size_t kChildMissionsMax = 8;
/// Child missions and refused requests of one mission in sum: each is a record of its ledger and a row of its receipt.
inline constexpr std::size_t kChildRequestsMax = 256;
/// A request for a child mission: profile, arguments and variables of one command.
inline constexpr std::size_t kChildRequestBytesMax = 2 * 1024 * 1024;
/// One datagram between an agent's sanctum-run and the launcher of its child mission: a signal, or a refusal with its
/// place in the profile.
inline constexpr std::size_t kChildWordBytesMax = 16 * 1024;
/// How long a client may take for its request, and a parent for its answer.
inline constexpr seconds kChildRequestTimeout{10};
/// How long a parent's end waits for its children's: they end in the same way, and have as long for their leases.
inline constexpr seconds kChildEndTimeout{15};
/// How long the workspace may be searched after a run.
inline constexpr seconds kWorkspaceCareTimeout{60};
/// A second TERM within this time ends the mission instead of being forwarded.
inline constexpr seconds kSecondTermWindow{5};
/// Exchanges without an end at one time; the interceptor's own bounds are far below.
inline constexpr std::size_t kOpenExchangesMax = 16 * 1024;
/// Clients of the control socket at one time.
inline constexpr std::size_t kControlClientsMax = 16;
/// One request line on the control socket.
inline constexpr std::size_t kControlLineBytesMax = 64 * 1024;
/// Answer bytes waiting for a control client that does not read.
inline constexpr std::size_t kControlAnswerBytesMax = 1024 * 1024;
/// Folders of earlier missions that a start looks at for unfinished ones; `sanctum reap` looks at all.
inline constexpr std::size_t kMissionsLookedAtMax = 512;
/// System-call notices answered in one turn.
inline constexpr std::size_t kNoticesPerTurnMax = 64;
/// Ancestors named for a process; deeper trees are cut.
inline constexpr std::size_t kAncestorsMax = 16;
/// Connections seen by the watch and not yet reported by the interceptor; the oldest is forgotten.
inline constexpr std::size_t kClaimsMax = 4096;
/// Bytes of an executable's path or a command name that we keep of a claim.
inline constexpr std::size_t kClaimTextBytesMax = 512;

// --- interceptor: HTTP, policy, rewriting ---------------------------------------------------------------------------
/// One read of a body and the buffer behind it: the largest TLS record.
inline constexpr std::size_t kReadBytes = 16 * 1024;
/// Such buffers that are kept while nobody reads into them.
inline constexpr std::size_t kReadBuffersKeptMax = 16;
/// Header section of a request or response, start line included; common servers stop at 8 to 64 KiB.
inline constexpr std::size_t kHeadBytesMax = 32 * 1024;
/// Fields of one header or trailer section; common servers stop at 100.
inline constexpr std::size_t kHeadFieldsMax = 100;
/// Request target; longer ones exist only as accidents.
inline constexpr std::size_t kTargetBytesMax = 8 * 1024;
/// The longest registered method has 17 letters.
inline constexpr std::size_t kMethodBytesMax = 32;
/// Extensions of one response chunk, which are dropped; requests may have none.
inline constexpr std::size_t kChunkExtensionBytesMax = 256;
/// Trailer section, or a chunk's size line, that is waited for in one piece.
inline constexpr std::size_t kTrailerBytesMax = 8 * 1024;
/// Interim responses before a final one; early hints send one or two, a flood never ends.
inline constexpr int kInterimResponsesMax = 16;
/// From the first byte of a request's head to its last (slowloris).
inline constexpr seconds kHeadTimeout{10};
/// How long an agent's connection may rest between requests; above the idle time of common client pools.
inline constexpr minutes kAgentIdleTime{5};
/// A request body has to bring so many bytes in every such time while we wait for it.
inline constexpr seconds kBodyWindow{60};
inline constexpr std::size_t kBodyWindowBytesMin = 256;
/// How long an agent may take no byte of a response (a stopped job is continued within it, or repeats the request).
inline constexpr minutes kAgentStallTime{10};
/// Silence of an upstream in either direction; model servers think for minutes before the first byte.
inline constexpr minutes kUpstreamSilenceTime{15};
/// The rest of a refused request's body that is read so that the connection can go on; larger ones end it.
inline constexpr std::size_t kRefusedBodyBytesMax = 64 * 1024;
/// The rest of a refused git push that is read so that git shows why; a larger or slower one gets a bare status.
inline constexpr std::size_t kRefusedPushBytesMax = 512 * 1024 * 1024;
inline constexpr minutes kRefusedPushTime{2};
/// Refusals in a row on one connection before it is closed: a loop has to pay a handshake.
inline constexpr int kRefusalsInRowMax = 64;
/// Command list of a git push; about 150 bytes a ref.
inline constexpr std::size_t kPushCommandsBytesMax = 64 * 1024;
inline constexpr std::size_t kPushRefsMax = 1000;
/// One chunk of a body that is signed chunk by chunk, held until its signature is known. Clients write 64 to 128 KiB.
inline constexpr std::size_t kAwsChunkBytesMax = 1024 * 1024;
/// The line before such a chunk, and all lines of the trailer behind the last.
inline constexpr std::size_t kAwsLineBytesMax = 4 * 1024;
/// Body of a request to a service of AWS other than S3 that has to be signed and whose digest the client did not say.
inline constexpr std::size_t kSignedBodyBytesMax = 1024 * 1024;
/// Shortest form of a secret that is looked for in responses; shorter ones would star ordinary words.
inline constexpr std::size_t kNeedleBytesMin = 6;
/// Head of one part of a multipart body; a name, a file name and a type.
inline constexpr std::size_t kPartHeadBytesMax = 8 * 1024;
/// Body of an answer out of which the catalog names values to be redacted; it is held whole. Such answers describe one
/// thing and are some 10 KiB.
inline constexpr std::size_t kRedactedBodyBytesMax = 1024 * 1024;
/// One evidence header as it is kept in the ledger.
inline constexpr std::size_t kEvidenceBytesMax = 512;

// --- console ------------------------------------------------------------------------------------------------------
/// One line on a mission's control socket; a whole `show` is some 4 KB and a long command line may double it.
inline constexpr std::size_t kControlReplyBytesMax = 1024 * 1024;
/// How long a live mission may take to answer; its launcher does nothing that blocks.
inline constexpr milliseconds kControlAnswerTimeout{3000};
/// Output of `sanctum-vault reap`: one line per lease that ended without its launcher.
inline constexpr std::size_t kReapOutputBytesMax = 16 * 1024 * 1024;
/// The description of a program's command line; the longest is some 10 KiB.
inline constexpr std::size_t kDescriptionBytesMax = 1024 * 1024;
/// Missions that `sanctum prune` removes when nobody says otherwise ended longer ago than this: a year and a month.
inline constexpr std::chrono::hours kPruneOlderDefault{24 * 400};

}  // namespace sanctum
