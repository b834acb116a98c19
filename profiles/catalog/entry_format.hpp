// SPDX-License-Identifier: Apache-2.0
// The flat layout of a compiled catalog entry. Internal: compile_entry.cpp writes it, compiled_entry.cpp reads it.
//
// Eight bytes of magic, then little-endian u32 words: schema, total size, three header ranges, and for each table of
// TableId its byte offset and row count. Rows are fixed numbers of words. Texts are numbers of rows in `Strings`,
// lists are ranges (first, count) of another table. Everything is checked once when a file is opened.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sanctum::profiles::flat {

inline constexpr std::string_view kMagic = "SNCTENT\x1a";
inline constexpr std::uint32_t kSchema = 3;

enum TableId : std::uint32_t {
    Strings,     // byte offset from the start of the file, bytes
    Lists,       // string
    Sets,        // first in Lists, count: one AND set of scopes
    Parts,       // PartKind, string or index of a segment
    Values,      // resource name, first in Parts, count
    Segments,    // SegmentKind, string
    Endpoints,   // EndpointWord
    Operations,  // OperationWord, sorted by endpoint, method and how specific they are
    Groups,      // endpoint, method, first in Operations, count
    Implied,     // scope, first in Lists, count
    Logins,      // key, first in Lists, count: [login] of the entry, empty where it has none
    kTables
};
inline constexpr std::array<std::uint32_t, kTables> kWords = {2, 1, 2, 2, 3, 2, 12, 23, 4, 3, 3};

enum HeaderWord : std::uint32_t {
    HeadSchema, HeadBytes, HeadName, HeadPlaceholder, HeadScopes, HeadScopesCount, HeadResources, HeadResourcesCount,
    HeadTables  // then offset and count of each table
};
inline constexpr std::size_t kHeaderWords = HeadTables + 2 * kTables;
inline constexpr std::size_t kHeaderBytes = 8 + 4 * kHeaderWords;

enum EndpointWord : std::uint32_t {
    EndpointName, EndpointHosts, EndpointHostsCount, EndpointKindWord, EndpointForm, EndpointFormName,
    EndpointUsername, EndpointStrip, EndpointStripCount, EndpointSuffix, EndpointAmzHeaders, EndpointAmzHeadersCount
};

enum OperationWord : std::uint32_t {
    OperationId, OperationEndpoint, OperationMethod, OperationSegments, OperationSegmentsCount, OperationHasRest,
    OperationRisk, OperationIsScoped, OperationSets, OperationSetsCount, OperationValues, OperationValuesCount,
    OperationQuery, OperationQueryCount, OperationRedact, OperationRedactCount, OperationSays, OperationSaysCount,
    OperationBoundsQuery, OperationNeeds, OperationNeedsCount, OperationTakes, OperationTakesCount
};

enum SegmentKind : std::uint32_t { Literal, Capture };
enum PartKind : std::uint32_t { Text, Captured, Query, Rest };  // Rest: what `**` stood for, without number

// OperationHasRest: a path without `**`, one with it, and one whose `**` is used, so that it must stand for something.
enum RestKind : std::uint32_t { NoRest, AnyRest, UsedRest };

}  // namespace sanctum::profiles::flat
