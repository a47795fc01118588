/* SPDX-License-Identifier: MIT */
#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 4096u

static int write_all(int file, const uint8_t *data, uint32_t size, uint32_t address)
{
    while (size != 0) {
        ssize_t written = pwrite(file, data, size, (off_t)address);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return -1;
        data += written;
        size -= (uint32_t)written;
        address += (uint32_t)written;
    }
    return 0;
}

static int read_flash(void *context, uint32_t address, void *data, uint32_t size)
{
    const struct tern_posix_flash *flash = context;
    uint8_t *to = data;
    while (size != 0) {
        ssize_t got = pread(flash->file, to, size, (off_t)address);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        to += got;
        size -= (uint32_t)got;
        address += (uint32_t)got;
    }
    return 0;
}

static int finish(const struct tern_posix_flash *flash)
{
    return flash->sync ? fdatasync(flash->file) : 0;
}

static bool is_erased(const uint8_t *bytes, uint32_t size)
{
    for (; size != 0; size--)
        if (*bytes++ != 0xFF)
            return false;
    return true;
}

/* A chip would AND the bits together and, with ECC, spoil the unit: here it is an error, so that tests see it. */
static int program_flash(void *context, uint32_t address, const void *data, uint32_t size)
{
    const struct tern_posix_flash *flash = context;
    const uint8_t *from = data;
    uint8_t there[PIECE];
    uint32_t unit = flash->flash.program_unit;
    if (address % unit != 0 || size % unit != 0)
        return -1;
    while (size != 0) {
        uint32_t piece = size < PIECE ? size : PIECE;
        if (read_flash(context, address, there, piece) != 0 || !is_erased(there, piece) ||
            write_all(flash->file, from, piece, address) != 0)
            return -1;
        from += piece;
        address += piece;
        size -= piece;
    }
    return finish(flash);
}

static int fill_erased(int file, uint32_t address, uint32_t size)
{
    uint8_t erased[PIECE];
    memset(erased, 0xFF, sizeof(erased));
    while (size != 0) {
        uint32_t piece = size < PIECE ? size : PIECE;
        if (write_all(file, erased, piece, address) != 0)
            return -1;
        address += piece;
        size -= piece;
    }
    return 0;
}

static int erase_flash(void *context, uint32_t address)
{
    const struct tern_posix_flash *flash = context;
    if (address % flash->flash.sector_size != 0 ||
        fill_erased(flash->file, address, flash->flash.sector_size) != 0)
        return -1;
    return finish(flash);
}

static int lock(int file)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(file, F_SETLK, &whole);
}

/* A file that is too short was being made when its process died: nothing has been stored in it yet. */
static int make_whole(struct tern_posix_flash *flash, off_t found, off_t wanted)
{
    if (found == wanted)
        return 0;
    if (found > wanted)
        return -1;
    return fill_erased(flash->file, (uint32_t)found, (uint32_t)(wanted - found));
}

int tern_posix_flash_open(struct tern_posix_flash *flash, const char *path, uint32_t sector_size,
                          uint32_t sector_count, uint8_t program_unit, char *message, size_t size)
{
    struct stat found;
    off_t wanted = (off_t)sector_size * (off_t)sector_count;
    *flash = (struct tern_posix_flash){
        .flash = {flash, read_flash, program_flash, erase_flash, sector_size, sector_count, program_unit, 0},
        .file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644),
    };
    if (flash->file < 0 || fstat(flash->file, &found) != 0) {
        snprintf(message, size, "%s: cannot open the flash file: %s", path, strerror(errno));
    } else if (lock(flash->file) != 0) {
        snprintf(message, size, "%s: the flash file is in use by another process; stop it first", path);
    } else if (found.st_size > wanted) {
        snprintf(
            message, size,
            "%s: is %lld bytes and a flash of this geometry has %lld; give the geometry it was made with",
            path, (long long)found.st_size, (long long)wanted);
    } else if (make_whole(flash, found.st_size, wanted) != 0) {
        snprintf(message, size, "%s: cannot fill the flash file: %s; make room on the disk", path,
                 strerror(errno));
    } else {
        return 0;
    }
    tern_posix_flash_close(flash);
    return -1;
}

void tern_posix_flash_close(struct tern_posix_flash *flash)
{
    if (flash->file >= 0)
        close(flash->file);
    flash->file = -1;
}
