/* SPDX-License-Identifier: MIT */
/*
 * Runs an AVR image in simavr, its UART connected to a gateway, and resets the chip at random moments. The
 * EEPROM outlives a reset; the byte that was being written or erased at that moment is torn: each of its bits
 * done or not.
 *
 * avr_run IMAGE MCU PORT CUTS SEED ROWS KEPT RECORDED END: the last three are the addresses in RAM of what
 * the firmware found at its start, of what it believes to be durable, and of the end of its variables. After
 * each reset the former must reach what the latter was. When `recorded` is ROWS, reads its standard input to
 * the end, and ends. Status 0: everything held.
 *
 * avr_run IMAGE MCU FINISHED FAULT LOOPED: runs the port's self-test, the UART's two wires joined, until the
 * word at the first of three addresses is not 0. Status 0: no fault, and all of the bytes came
 * back. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <simavr/avr_eeprom.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>

#define FREQUENCY     16000000u
#define SPEED         6u /* times as fast as the chip, if the PC can */
#define SLICE         (FREQUENCY / 1000u)
#define EECR          0x3F
#define EEDR          0x40
#define EEAR_LOW      0x41
#define EEAR_HIGH     0x42
#define WRITING       0x02
#define MASTER        0x04
#define ERASE_MODE    0x10
#define WRITE_MODE    0x20
#define CHANGE_CYCLES (FREQUENCY / 10000u * 18u)
#define PATIENCE      (120ull * FREQUENCY) /* cycles */

static avr_t *avr;
static avr_irq_t *input;
static int gateway;
static int outward; /* where the UART's bytes go: to the gateway, or back */
static bool may_send = true;
static bool is_linked; /* not at first, so that the log is full before anything can be sent */
static uint64_t chance;

static uint32_t draw(uint32_t limit)
{
    uint64_t z = (chance += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)((z ^ (z >> 31)) % limit);
}

/* ---- The UART and the gateway ---------------------------------------------------------------- */

static void on_output(struct avr_irq_t *irq, uint32_t value, void *context)
{
    uint8_t byte = (uint8_t)value;
    (void)irq;
    (void)context;
    while (is_linked && write(outward, &byte, 1) < 0 && (errno == EAGAIN || errno == EINTR))
        ;
}

static void on_room(struct avr_irq_t *irq, uint32_t value, void *context)
{
    (void)irq;
    (void)value;
    (void)context;
    may_send = true;
}

static void on_full(struct avr_irq_t *irq, uint32_t value, void *context)
{
    (void)irq;
    (void)value;
    (void)context;
    may_send = false;
}

/* What has come from the gateway, as far as the UART takes it. */
static void feed(void)
{
    uint8_t byte;
    while (may_send && recv(gateway, &byte, 1, MSG_DONTWAIT) == 1)
        avr_raise_irq(input, byte);
}

static void connect_uart(void)
{
    uint32_t flags = 0;
    avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS('0'), &flags);
    flags &= (uint32_t) ~(AVR_UART_FLAG_STDIO | AVR_UART_FLAG_POLL_SLEEP);
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    input = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), on_output, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON), on_room, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF), on_full, NULL);
}

static int connect_gateway(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    gateway = outward = socket(AF_INET, SOCK_STREAM, 0);
    return connect(gateway, (struct sockaddr *)&address, sizeof address);
}

/* ---- EEPROM ---------------------------------------------------------------------------------- */

/* simavr writes whole bytes at once, whatever the mode. The chip takes 1.8 ms, and then has erased the byte,
 * or cleared bits in it. */
static uint8_t *cells;
static uint8_t earlier[4096]; /* as `cells` was before the last change */
static uint8_t shadow;        /* what the byte held that is being changed */
static uint16_t writing;      /* its address */
static uint64_t busy_until;
static uint32_t overwrites; /* writes that wanted to set a bit */

static avr_cycle_count_t on_done(avr_t *chip, avr_cycle_count_t when, void *context)
{
    (void)when;
    (void)context;
    chip->data[EECR] &= (uint8_t)~WRITING;
    return 0;
}

static void on_control(avr_t *chip, avr_io_addr_t address, uint8_t value, void *context)
{
    uint16_t at = (uint16_t)(chip->data[EEAR_LOW] | chip->data[EEAR_HIGH] << 8);
    (void)address;
    (void)context;
    if ((value & (WRITING | MASTER)) == (WRITING | MASTER) && chip->cycle >= busy_until) {
        uint8_t wanted = chip->data[EEDR];
        shadow = earlier[at];
        if ((value & WRITE_MODE) != 0)
            overwrites += (wanted & ~shadow) != 0;
        cells[at] = value & ERASE_MODE ? 0xFF : value & WRITE_MODE ? wanted & shadow : wanted;
        earlier[at] = cells[at];
        writing = at;
        busy_until = chip->cycle + CHANGE_CYCLES;
        avr_cycle_timer_register(chip, CHANGE_CYCLES, on_done, NULL);
    }
    if (chip->cycle < busy_until)
        chip->data[EECR] |= WRITING;
}

static void watch_eeprom(void)
{
    avr_eeprom_desc_t all = {NULL, 0, 0};
    avr_ioctl(avr, AVR_IOCTL_EEPROM_GET, &all);
    cells = all.ee;
    memset(earlier, 0xFF, sizeof earlier);
    avr_register_io_write(avr, EECR, on_control, NULL);
}

/* ---- Time ------------------------------------------------------------------------------------ */

static void no_sleep(avr_t *chip, avr_cycle_count_t cycles)
{
    (void)chip;
    (void)cycles;
}

static uint64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Runs the chip for so many cycles, not faster than SPEED times its clock. False: it has crashed. */
static bool run(uint64_t cycles)
{
    static uint64_t behind; /* when, on the PC, the chip's time is due */
    uint64_t end = avr->cycle + cycles;
    while (avr->cycle < end) {
        uint64_t slice = avr->cycle + SLICE;
        feed();
        while (avr->cycle < slice) {
            int state = avr_run(avr);
            if (state == cpu_Done || state == cpu_Crashed)
                return false;
        }
        uint64_t now = nanoseconds();
        behind = (behind < now - 10000000u ? now : behind) + 1000000u / SPEED;
        if (behind > now) {
            struct timespec wait = {0, (long)(behind - now)};
            nanosleep(&wait, NULL);
        }
    }
    return true;
}

static uint32_t word(uint32_t address)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < 4; i++)
        value |= (uint32_t)avr->data[address + i] << 8 * i;
    return value;
}

/* Runs until the word has reached `least`, or PATIENCE is over. */
static bool run_until(uint32_t address, uint32_t least)
{
    uint64_t end = avr->cycle + PATIENCE;
    uint32_t before = word(address);
    while (word(address) < least && avr->cycle < end) {
        if (!run(SLICE))
            return false;
        if (word(address) != before) {
            before = word(address);
            end = avr->cycle + PATIENCE;
        }
    }
    return word(address) >= least;
}

/* ---- Cuts ------------------------------------------------------------------------------------ */

/* A cut in the middle of a byte: each bit that was to change has, or has not. */
static bool tear(void)
{
    if (avr->cycle >= busy_until)
        return false;
    cells[writing] ^= (uint8_t)((shadow ^ cells[writing]) & draw(256));
    busy_until = 0;
    return true;
}

#define FRESH 0xA5u /* what RAM holds when the power comes */

/* Bytes between the variables and the deepest that the stack has come. */
static uint32_t unused_ram(uint32_t end)
{
    uint32_t at = end;
    while (at <= avr->ramend && avr->data[at] == FRESH)
        at++;
    return at - end;
}

static int cut_again_and_again(uint32_t cuts, uint32_t kept, uint32_t recorded)
{
    uint32_t torn = 0, most = 0;
    for (uint32_t i = 1; i <= cuts; i++) {
        is_linked = i > cuts / 5;
        if (!run((uint64_t)(20 + draw(1500)) * SLICE + draw(SLICE)))
            return -1;
        most = word(recorded);
        torn += tear();
        earlier[writing] = cells[writing];
        avr_reset(avr);
        memset(avr->data + avr->ioend + 1, FRESH, (size_t)(avr->ramend - avr->ioend));
        if (!run(20 * SLICE) || !run_until(kept, most) || word(kept) == 0xA5A5A5A5u) {
            printf("cut %u: %u records were committed and the log holds %u\n", i, most, word(kept));
            return -1;
        }
    }
    printf("     %u cuts, %u of them in mid-byte, %u records at the last one\n", cuts, torn, most);
    if (overwrites != 0)
        printf("%u writes wanted to set a bit that was clear\n", overwrites);
    /* Of few cuts none may have met a byte. */
    return most == 0 || (torn == 0 && cuts >= 50) || overwrites != 0 ? -1 : 0;
}

static uint32_t address_of(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 16) & 0xFFFF;
}

static void start_chip(elf_firmware_t *firmware)
{
    avr_init(avr);
    avr->frequency = FREQUENCY;
    avr->sleep = no_sleep;
    avr->log = LOG_ERROR;
    avr_load_firmware(avr, firmware);
    avr->frequency = FREQUENCY;
    connect_uart();
    watch_eeprom();
}

static int self_test(char **argv)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return 1;
    gateway = ends[0];
    outward = ends[1];
    is_linked = true;
    if (!run_until(address_of(argv[3]), 1))
        printf("the self-test does not end\n");
    uint32_t fault = word(address_of(argv[4]));
    uint32_t looped = word(address_of(argv[5]));
    printf("     fault %u, %u bytes came back, %u writes wanted to set a bit\n", fault, looped, overwrites);
    return fault == 0 && looped == 512 && overwrites == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    elf_firmware_t firmware = {0};
    struct pollfd end = {.fd = 0, .events = POLLIN};
    char byte;
    if (argc != 10 && argc != 6) {
        fprintf(stderr, "usage: avr_run IMAGE MCU PORT CUTS SEED ROWS KEPT RECORDED END, or IMAGE MCU "
                        "FINISHED FAULT LOOPED\n");
        return 2;
    }
    if (elf_read_firmware(argv[1], &firmware) != 0 || (avr = avr_make_mcu_by_name(argv[2])) == NULL) {
        fprintf(stderr, "avr_run: image or chip is not there\n");
        return 1;
    }
    start_chip(&firmware);
    if (argc == 6)
        return self_test(argv);
    if (connect_gateway((uint16_t)atoi(argv[3])) != 0) {
        fprintf(stderr, "avr_run: the gateway is not there\n");
        return 1;
    }
    uint32_t rows = (uint32_t)atol(argv[6]);
    uint32_t kept = address_of(argv[7]);
    uint32_t recorded = address_of(argv[8]);
    chance = strtoull(argv[5], NULL, 10);
    if (cut_again_and_again((uint32_t)atol(argv[4]), kept, recorded) != 0)
        return 1;
    if (!run_until(recorded, rows)) {
        printf("after the cuts the firmware stands still at %u of %u records\n", word(recorded), rows);
        return 1;
    }
    uint32_t unused = unused_ram(address_of(argv[9]));
    printf("     %u of %u bytes of RAM were never used\n", unused, avr->ramend - avr->ioend);
    if (unused == 0)
        return 1; /* the stack may have run into the variables */
    fflush(stdout);
    while (poll(&end, 1, 0) == 0 || read(0, &byte, 1) > 0)
        if (!run(SLICE))
            return 1;
    return 0;
}
