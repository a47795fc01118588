/* SPDX-License-Identifier: MIT */
/* Reading a csv destination's segments back, as an audit does: which lines are records, and whose. */
#include "../test.h"

#include <fcntl.h>

#include "../../host/scan.h"
#include "chunks.h"

static char found[1000];
static struct tern_sink sink;

static int take(void *context, const struct tern_scan_row *row)
{
    (void)context;
    size_t size = strlen(found);
    snprintf(found + size, sizeof found - size, "%.*s %lld;", (int)row->device_size, row->device,
             (long long)row->id);
    return TERN_HOST_OK;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(folder_path(name), "wb");
    fputs(text, file);
    fclose(file);
}

/* What the segments of `climate` hold between two identities. */
static int scan(const char *device, int64_t first, int64_t last)
{
    struct tern_sink_scan what = {
        .table = "climate", .device = device, .first = first, .last = last, .row = take};
    int directory = open(folder, O_RDONLY | O_DIRECTORY);
    found[0] = '\0';
    int status = tern_csv_scan(&sink, directory, &what);
    close(directory);
    return status;
}

static void check_found(const char *expected)
{
    if (!CHECK(strcmp(found, expected) == 0))
        printf("    %s, not %s\n", found, expected);
}

#define HEADER "device,tern_id,at,note\n"

/* A line end within quotes ends no record; the last one may be without. */
static void records_of_the_device_and_range_are_given(void)
{
    folder_fresh();
    write_file("climate-00000001-20261121T093000Z.csv",
               HEADER "dev1,5,1,\"two\nlines, \"\"quoted\"\"\"\ndev2,6,2,\ndev10,7,3,x\ndev,8,4,");
    CHECK_EQ(scan(NULL, 0, INT64_MAX), TERN_HOST_OK);
    check_found("dev1 5;dev2 6;dev10 7;dev 8;");
    CHECK_EQ(scan("dev1", 0, INT64_MAX), TERN_HOST_OK);
    check_found("dev1 5;");
    CHECK_EQ(scan(NULL, 6, 6), TERN_HOST_OK);
    check_found("dev2 6;");
    CHECK_EQ(scan("dev2", 7, INT64_MAX), TERN_HOST_OK);
    check_found("");
}

static void an_open_segment_counts_and_files_of_others_do_not(void)
{
    folder_fresh();
    write_file(".climate-00000002.open", HEADER "dev1,1,1,\n");
    write_file("climate-00000001-20261121T093000Z.csv", HEADER);
    static const char *const others[] = {"climatex-00000001-20261121T093000Z.csv",
                                         "climate.csv",
                                         "climat-00000001-20261121T093000Z.csv",
                                         "climate-00000001.open",
                                         "climate-00000003.csv.new",
                                         "climate-0123abcd.schema",
                                         "-climate-1.csv"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        write_file(others[i], HEADER "dev9,9,9,\n");
    CHECK_EQ(scan(NULL, 0, INT64_MAX), TERN_HOST_OK);
    check_found("dev1 1;");
}

/* An audit must not call a damaged segment the same as one without those records. */
static void a_line_that_is_no_record_is_an_error_that_names_its_place(void)
{
    static const char *const lines[] = {"nothing\n", "dev1,5\n", "dev1,12345678901234567890123456,1,\n"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char text[200];
        folder_fresh();
        snprintf(text, sizeof text, "%s%s", HEADER "dev1,1,1,\n", lines[i]);
        write_file("climate-00000001-20261121T093000Z.csv", text);
        CHECK_EQ(scan(NULL, 0, INT64_MAX), TERN_HOST_E_CORRUPT);
        check_found("dev1 1;");
        CHECK(strstr(sink.error, "climate-00000001-20261121T093000Z.csv at 33") != NULL);
    }
}

int main(void)
{
    RUN(records_of_the_device_and_range_are_given);
    RUN(an_open_segment_counts_and_files_of_others_do_not);
    RUN(a_line_that_is_no_record_is_an_error_that_names_its_place);
    folder_remove();
    return test_report();
}
